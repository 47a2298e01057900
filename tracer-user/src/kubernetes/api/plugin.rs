//! Credentials from a kubeconfig's exec plugin (client.authentication.k8s.io), as managed clusters use them.
//!
//! Rule: a plugin has a time and a size; kube's own way of running it would stop this thread for as long as the plugin likes. It is
//! run again when the server does not accept what it gave.

use std::io::ErrorKind;
use std::process::Stdio;
use std::time::Duration;

use kube::config::{AuthInfo, ExecConfig};
use serde::Deserialize;
use serde_json::json;
use tokio::io::AsyncReadExt;
use tokio::process::Command;

/// They mostly ask a cloud's API.
const PATIENCE: Duration = Duration::from_secs(20);
/// A token or a certificate with its key.
const MAX_OUTPUT: u64 = 1 << 20;

#[derive(Debug, Deserialize)]
struct Credential {
    status: Option<Status>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Status {
    token: Option<String>,
    client_certificate_data: Option<String>,
    client_key_data: Option<String>,
}

/// Puts what the plugin gives in its place; nothing is done where there is none.
pub(super) async fn run(user: &mut AuthInfo) -> Result<(), String> {
    let Some(exec) = user.exec.take() else { return Ok(()) };
    let name = exec.command.clone().unwrap_or_default();
    let output = tokio::time::timeout(PATIENCE, output(&exec)).await;
    let output = output.map_err(|_| format!("its plugin {name} gave nothing in {PATIENCE:?}"))??;
    let credential: Credential = serde_json::from_slice(&output)
        .map_err(|error| format!("its plugin {name} gave no ExecCredential: {error}"))?;
    let status = credential.status.ok_or_else(|| format!("its plugin {name} gave an ExecCredential without status"))?;
    if status.token.is_none() && status.client_certificate_data.is_none() {
        return Err(format!("its plugin {name} gave neither a token nor a certificate"));
    }
    user.token = status.token.map(Into::into);
    // kube takes them as base64, in a kubeconfig's way.
    let encode = |pem: String| k8s_openapi::ByteString(pem.into_bytes());
    let text = |bytes| serde_json::to_value(bytes).ok().and_then(|value| value.as_str().map(str::to_owned));
    user.client_certificate_data = status.client_certificate_data.map(encode).and_then(text);
    user.client_key_data = status.client_key_data.map(encode).and_then(text).map(Into::into);
    Ok(())
}

async fn output(exec: &ExecConfig) -> Result<Vec<u8>, String> {
    let name = exec.command.as_deref().ok_or("its user has an exec plugin without a command")?;
    let failed = |error: std::io::Error| match (error.kind(), &exec.install_hint) {
        (ErrorKind::NotFound, Some(hint)) => format!("its plugin {name} is not installed here: {}", hint.trim()),
        (ErrorKind::NotFound, None) => format!("its plugin {name} is not installed here"),
        _ => format!("its plugin {name} can't be run: {error}"),
    };
    let info = json!({
        "apiVersion": exec.api_version, "kind": "ExecCredential", "spec": {"interactive": false},
    });
    let mut command = Command::new(name);
    command.args(exec.args.iter().flatten()).env("KUBERNETES_EXEC_INFO", info.to_string());
    let variables = exec.env.iter().flatten();
    command.envs(variables.filter_map(|variable| Some((variable.get("name")?, variable.get("value")?))));
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null()).kill_on_drop(true);
    let mut child = command.spawn().map_err(failed)?;
    let mut output = Vec::new();
    if let Some(stdout) = child.stdout.take() {
        stdout.take(MAX_OUTPUT).read_to_end(&mut output).await.map_err(failed)?;
    }
    let status = child.wait().await.map_err(failed)?;
    if status.success() { Ok(output) } else { Err(format!("its plugin {name} failed ({status})")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn user(command: &str, args: &[&str]) -> AuthInfo {
        let args = args.iter().map(|arg| (*arg).to_owned()).collect();
        let exec = ExecConfig { command: Some(command.to_owned()), args: Some(args), ..ExecConfig::default() };
        AuthInfo { exec: Some(exec), ..AuthInfo::default() }
    }

    #[tokio::test]
    async fn a_plugin_gives_a_token_or_says_in_a_sentence_why_not() {
        let mut good =
            user("echo", &[r#"{"kind":"ExecCredential","status":{"token":"secret","clientCertificateData":"pem"}}"#]);
        run(&mut good).await.unwrap();
        assert!(good.exec.is_none() && good.token.is_some());
        assert_eq!(good.client_certificate_data.as_deref(), Some("cGVt"));
        let missing = run(&mut user("wd-no-such-plugin", &[])).await.unwrap_err();
        assert_eq!(missing, "its plugin wd-no-such-plugin is not installed here");
        assert!(run(&mut user("false", &[])).await.unwrap_err().contains("failed"));
        assert!(run(&mut user("echo", &["{}"])).await.unwrap_err().contains("without status"));
        assert!(run(&mut user("echo", &["x"])).await.unwrap_err().contains("no ExecCredential"));
        assert!(run(&mut user("echo", &[r#"{"status":{}}"#])).await.unwrap_err().contains("neither"));
    }
}
