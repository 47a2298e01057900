//! The command line: clap only, and what each command's end means for the exit status.
//!
//! Rule: every failure is one sentence on standard error. Exit status 0: done; 1: it could not be done; 2: the command
//! line is wrong; with `-- CMD`, the command's own, or 127 (not found) or 126 (can't be run).

mod attempts;
mod demo;
mod diagnose;
mod dns;
mod doctor;
mod explain;
mod kubernetes;
mod output;
mod policy;
mod verdicts;
mod watch;

use std::process::ExitCode;

use clap::error::{ContextKind, ContextValue};
use clap::{Parser, Subcommand};

use output::Output;

use crate::diagnose::ExpectError;
use crate::kubernetes::KubernetesError;
use crate::netfilter::ask::{AskError, SpecError};
use crate::pipeline::PipelineError;
use crate::policy::PolicyError;
use crate::settings::{SettingsError, shortened};
use crate::sink::printable;

/// Tells why a packet was dropped on this node: every drop with its reason, place and ends.
#[derive(Debug, Parser)]
#[command(name = "whydrop", version, args_conflicts_with_subcommands = true, max_term_width = 100)]
struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    watch: watch::WatchArgs,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Show drops as they happen (what `whydrop` alone does)
    Watch(Box<watch::WatchArgs>),
    /// List what was explained so far, by cause; or say what the firewall would do with a packet, rule by rule
    Explain(Box<explain::ExplainArgs>),
    /// Watch for a while, then say what is wrong, the worst first: drops, and connections that nobody answered
    Diagnose(Box<diagnose::DiagnoseArgs>),
    /// Show DNS queries that fail or are slow
    Dns(Box<dns::DnsArgs>),
    /// Say what the network policies make of a connection, or of all, from the cluster or from manifests
    Policy(Box<policy::PolicyArgs>),
    /// Show what the network policies make of each new connection of this node's pods
    Verdicts(Box<verdicts::VerdictsArgs>),
    /// Say what works on this node, what does not, and how to mend it
    Doctor(doctor::DoctorArgs),
    /// See it work: a throw-away client, node and pod, and some typical drops between them
    Demo(demo::DemoArgs),
}

/// Parses, runs and reports.
pub fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => return usage(&error),
    };
    start_log();
    let result = match cli.command.unwrap_or_else(|| Command::Watch(Box::new(cli.watch))) {
        Command::Watch(args) => watch::run(*args),
        Command::Explain(args) => explain::run(&args),
        Command::Diagnose(args) => diagnose::run(*args),
        Command::Dns(args) => dns::run(*args),
        Command::Policy(args) => policy::run(&args),
        Command::Verdicts(args) => verdicts::run(*args),
        Command::Doctor(args) => doctor::run(args),
        Command::Demo(args) => demo::run(&args),
    };
    match result {
        Ok(status) => status,
        Err(error) if is_closed_pipe(&error) => ExitCode::SUCCESS,
        Err(error) => {
            use std::io::Write;
            // Standard error may be closed too: then there is nobody to tell.
            let _ = writeln!(std::io::stderr(), "whydrop: {error:#}");
            exit_code(&error)
        }
    }
}

/// 2 for a command line that makes no sense here, as for one that clap refuses.
fn exit_code(error: &anyhow::Error) -> ExitCode {
    let is_usage = error.downcast_ref::<AskError>().is_some_and(AskError::is_usage)
        || error.downcast_ref::<PolicyError>().is_some_and(PolicyError::is_usage)
        || error.downcast_ref::<KubernetesError>().is_some_and(KubernetesError::is_usage);
    if is_usage || error.is::<SettingsError>() || error.is::<SpecError>() || error.is::<ExpectError>() {
        return ExitCode::from(2);
    }
    error.downcast_ref::<PipelineError>().map_or(ExitCode::FAILURE, |error| ExitCode::from(error.exit_code()))
}

/// clap's message, shortened and harmless: a wrong value can be megabytes long or hold control characters.
fn usage(error: &clap::Error) -> ExitCode {
    use std::io::Write;
    const MOST: usize = 2000;
    let mut text = error.render().to_string();
    if !error.use_stderr() {
        let _ = std::io::stdout().write_all(text.as_bytes());
        return ExitCode::SUCCESS;
    }
    // So that what is wrong with the value is not cut off behind it.
    if let Some(ContextValue::String(value)) = error.get(ContextKind::InvalidValue)
        && !value.is_empty()
    {
        text = text.replacen(value, &shortened(value), 1);
    }
    let short: String = text.chars().take(MOST).collect();
    for line in short.trim_end().lines() {
        let _ = writeln!(std::io::stderr(), "{}", printable(line));
    }
    ExitCode::from(2)
}

/// The reader of standard output went away: a clean end.
fn is_closed_pipe(error: &anyhow::Error) -> bool {
    error.chain().any(|cause| {
        cause.downcast_ref::<std::io::Error>().is_some_and(|error| error.kind() == std::io::ErrorKind::BrokenPipe)
    })
}

/// Log on standard error, as `WHYDROP_LOG` asks (`debug`, `whydrop::source=trace`); warnings by default.
fn start_log() {
    let filter = tracing_subscriber::EnvFilter::try_from_env("WHYDROP_LOG")
        // What fails there is a sentence of the coverage, once per cause; the library's own log tells each attempt.
        .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new("warn,kube_client=off,kube_runtime=off"));
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).without_time().init();
}
