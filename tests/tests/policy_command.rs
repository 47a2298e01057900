//! `whydrop policy` as it is typed, on manifests: what it says, its exit status, and what it refuses.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Output;

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use tracer_tests::tracer;

const SHOP: &str = r"
apiVersion: v1
kind: Namespace
metadata: {name: shop}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: web, namespace: shop}
spec:
  template:
    metadata: {labels: {app: web}}
    spec: {containers: [{name: web, image: web, ports: [{name: http, containerPort: 8080}]}]}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: client, namespace: shop}
spec: {template: {metadata: {labels: {app: client}}, spec: {containers: [{name: c, image: c}]}}}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: curl, namespace: shop}
spec: {template: {metadata: {labels: {app: curl}}, spec: {containers: [{name: c, image: c}]}}}
---
apiVersion: v1
kind: Service
metadata: {name: web-svc, namespace: shop}
spec: {selector: {app: web}, ports: [{port: 80, targetPort: http}]}
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: web, namespace: shop}
spec:
  podSelector: {matchLabels: {app: web}}
  ingress:
  - from: [{podSelector: {matchLabels: {app: client}}}]
    ports: [{port: http}]
";

/// A folder of manifests; removed on drop.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str, files: &[(&str, &str)]) -> Result<Self> {
        let folder = Self(std::env::temp_dir().join(format!("wd-{}-{name}", std::process::id())));
        fs::create_dir_all(&folder.0)?;
        for (file, text) in files {
            fs::write(folder.0.join(file), text)?;
        }
        Ok(folder)
    }

    fn path(&self) -> Result<&str> {
        self.0.to_str().context("a path that is text")
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn policy(arguments: &[&str]) -> Result<Output> {
    let mut command = tracer::command(["policy"])?;
    command.args(arguments).env_remove("KUBECONFIG").env("HOME", "/nonexistent");
    Ok(command.output()?)
}

/// Its JSON lines, with the exit status.
fn lines(arguments: &[&str]) -> Result<(Vec<Value>, i32)> {
    let output = policy(arguments)?;
    let said = String::from_utf8(output.stderr)?;
    ensure!(said.is_empty(), "{said}");
    let text = String::from_utf8(output.stdout)?;
    let lines = text.lines().map(serde_json::from_str).collect::<Result<_, _>>()?;
    Ok((lines, output.status.code().context("ended by a signal")?))
}

fn refuses(arguments: &[&str], status: i32, words: &[&str]) -> Result<()> {
    let output = policy(arguments)?;
    let said = String::from_utf8(output.stderr)?;
    ensure!(output.status.code() == Some(status), "{}: {said}", output.status);
    ensure!(output.stdout.is_empty() && said.len() < 1000 && said.lines().count() == 1, "no sentence: {said}");
    for word in words {
        ensure!(said.contains(word), "it does not say {word}: {said}");
    }
    Ok(())
}

#[test]
fn a_denial_names_the_policy_the_mismatch_and_what_would_allow_it() -> Result<()> {
    let shop = Folder::new("check", &[("shop.yaml", SHOP)])?;
    let ask = ["check", "--manifests", shop.path()?, "--from", "shop/curl", "--to", "shop/web", "--port", "8080"];
    let (lines, status) = lines(&[&ask[..], &["-o", "json"]].concat())?;
    ensure!(status == 3 && lines.len() == 1, "{status} {lines:?}");
    let line = &lines[0];
    let wanted = json!({
        "direction": "ingress", "verdict": "denied", "selected_by": [{"namespace": "shop", "name": "web"}],
        "nearest": {
            "namespace": "shop", "name": "web", "rule": 1,
            "mismatch": "the client's label app is \"curl\", the rule wants app=client"
        }
    });
    ensure!(line["policy"] == wanted, "{line:#}");
    ensure!(
        (&line["from"], &line["to"], &line["verdict"]) == (&json!("shop/curl"), &json!("shop/web"), &json!("denied"))
    );
    let remedy = |at: usize| line["remedy"][at]["apply"].as_str().unwrap_or_default();
    ensure!(remedy(0).starts_with("kubectl -n shop patch networkpolicy web --type=json"), "{line:#}");
    ensure!(remedy(2).contains("label pod curl app=client --overwrite"), "{line:#}");
    let text = String::from_utf8(policy(&ask)?.stdout)?;
    ensure!(text.starts_with("DENIED  shop/curl → shop/web tcp 8080\n"), "{text}");
    ensure!(text.contains("nearest: NetworkPolicy shop/web rule 1: the client's label app"), "{text}");
    Ok(())
}

#[test]
fn a_service_is_asked_for_by_its_own_port() -> Result<()> {
    let shop = Folder::new("service", &[("shop.yaml", SHOP)])?;
    let ask = |from: &str, port: &str| -> Result<(Vec<Value>, i32)> {
        let to = "shop/web-svc";
        lines(&["check", "--manifests", shop.path()?, "--from", from, "--to", to, "--port", port, "-o", "json"])
    };
    let (allowed, status) = ask("shop/client", "80")?;
    ensure!(status == 0 && allowed[0]["verdict"] == "allowed", "{allowed:?}");
    ensure!(allowed[0]["port"] == 8080 && allowed[0]["service"] == "shop/web-svc", "{allowed:?}");
    ensure!(allowed[0]["policy"]["decided_by"]["rule"] == 1, "{allowed:?}");
    ensure!(ask("shop/curl", "80")?.1 == 3);
    ensure!(ask("192.0.2.7", "80")?.1 == 3, "an address outside");
    let refused = ["--from", "shop/client", "--to", "shop/web-svc", "--port", "81"];
    refuses(&[&["check", "--manifests", shop.path()?], &refused[..]].concat(), 2, &["no port tcp 81", "tcp 80"])
}

#[test]
fn a_matrix_has_every_pair() -> Result<()> {
    let shop = Folder::new("matrix", &[("shop.yaml", SHOP)])?;
    let ask = ["matrix", "--manifests", shop.path()?, "--port", "8080"];
    let (lines, status) = lines(&[&ask[..], &["-o", "json"]].concat())?;
    let denied: Vec<String> = lines
        .iter()
        .filter(|line| line["verdict"] == "denied")
        .map(|line| format!("{} {}", line["from"].as_str().unwrap_or("?"), line["to"].as_str().unwrap_or("?")))
        .collect();
    ensure!(status == 0 && lines.len() == 6 && denied == ["shop/curl shop/web"], "{lines:?}");
    let text = String::from_utf8(policy(&ask)?.stdout)?;
    let rows: Vec<Vec<&str>> = text.lines().skip(2).map(|row| row.split_whitespace().skip(2).collect()).collect();
    ensure!(rows == [[".", ".", "."], [".", ".", "X"], [".", ".", "."]], "{text}");
    Ok(())
}

#[test]
fn a_change_is_tried_on_the_connections_that_were_seen() -> Result<()> {
    let seen = |from: &str, address: &str, attempts: u32| {
        json!({
            "kind": "verdict", "direction": "ingress", "protocol": "tcp", "attempts": attempts,
            "source": {"address": address, "pod": {"namespace": "shop", "name": format!("{from}-5d4-x2"), "uid": "u"}, "workload": {"kind": "Deployment", "name": from}},
            "destination": {"address": "10.244.1.7", "port": 8080, "pod": {"namespace": "shop", "name": "web", "uid": "w"}}
        })
        .to_string()
    };
    let lines_seen = [
        seen("client", "10.244.1.5", 7),
        seen("curl", "10.244.1.6", 2),
        seen("gone", "10.244.1.9", 1),
        "{\"kind".into(),
    ];
    let closed = "apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {name: web, namespace: shop}\n\
                  spec: {podSelector: {matchLabels: {app: web}}, ingress: [{from: [{podSelector: {matchLabels: {app: curl}}}]}]}\n";
    let shop = Folder::new("try", &[("shop.yaml", SHOP)])?;
    let files = Folder::new("try-more", &[("seen", &lines_seen.join("\n")), ("new.yaml", closed)])?;
    let (seen, new) = (format!("{}/seen", files.path()?), format!("{}/new.yaml", files.path()?));
    let base = ["try", "--manifests", shop.path()?, "--from", &seen];
    let (lines, status) = lines(&[&base[..], &["-f", &new, "-o", "json"]].concat())?;
    let effects = &lines[0]["effects"];
    ensure!(status == 3, "something breaks: {lines:?}");
    ensure!(
        (&effects[0]["from"], &effects[0]["after"], &effects[0]["attempts"])
            == (&json!("shop/client"), &json!("denied"), &json!(7)),
        "{effects:#}"
    );
    ensure!((&effects[1]["from"], &effects[1]["after"]) == (&json!("shop/curl"), &json!("allowed")), "{effects:#}");
    ensure!(lines[0]["gone"] == 1 && lines[0]["damaged"] == 1, "{lines:?}");
    let text = String::from_utf8(policy(&[&base[..], &["--delete", "networkpolicy/shop/web"]].concat())?.stdout)?;
    ensure!(text.starts_with("would allow  shop/curl → shop/web tcp 8080  (2×)"), "{text}");
    refuses(&[&base[..], &["--delete", "networkpolicy/shop/nothing"]].concat(), 2, &["KIND/NAMESPACE/NAME"])
}

#[test]
fn what_can_not_be_read_is_named_with_file_object_and_field() -> Result<()> {
    let wrong = SHOP.replace("podSelector: {matchLabels: {app: web}}\n", "podSelecter: {matchLabels: {app: web}}\n");
    let cases: [(&str, &str, &[&str]); 4] = [
        ("typo", &wrong, &["shop.yaml", "NetworkPolicy shop/web", "podSelecter"]),
        (
            "port",
            &SHOP.replace("{port: http}", "{port: 70000}"),
            &["NetworkPolicy shop/web", "spec.ingress[0].ports[0].port"],
        ),
        ("cut", &SHOP[..SHOP.len() - 20], &["shop.yaml"]),
        ("tab", "a:\n\tb: c\n", &["shop.yaml"]),
    ];
    for (name, text, words) in cases {
        let folder = Folder::new(name, &[("shop.yaml", text)])?;
        let ask = ["check", "--manifests", folder.path()?, "--from", "shop/curl", "--to", "shop/web", "--port", "1"];
        refuses(&ask, 1, words).with_context(|| name.to_owned())?;
    }
    let empty = Folder::new("empty", &[])?;
    refuses(&["matrix", "--manifests", empty.path()?, "--port", "80"], 1, &["no .yaml"])?;
    let missing = Path::new("/nonexistent/manifests").display().to_string();
    refuses(&["matrix", "--manifests", &missing, "--port", "80"], 1, &["/nonexistent/manifests"])
}

#[test]
fn ends_that_are_not_there_and_a_cluster_that_is_not_there() -> Result<()> {
    let shop = Folder::new("ends", &[("shop.yaml", SHOP)])?;
    let base = ["check", "--manifests", shop.path()?, "--port", "80"];
    for (from, to, words) in [
        ("shop/nobody", "shop/web", ["--from shop/nobody", "shop/curl"]),
        ("shop/curl", "shop/nothing", ["--to shop/nothing", "pod or Service"]),
        ("curl", "shop/web", ["--from curl", "NAMESPACE/POD"]),
    ] {
        refuses(&[&base[..], &["--from", from, "--to", to]].concat(), 2, &words)?;
    }
    let alone = ["check", "--from", "shop/a", "--to", "shop/b", "--port", "80", "--kubernetes", "off"];
    refuses(&alone, 1, &["the policies of the cluster can't be read", "--manifests DIR"])
}
