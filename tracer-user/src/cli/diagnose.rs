//! `whydrop diagnose`: watch for a while, then say what is wrong, the worst first.

use std::ffi::OsString;
use std::io::{BufWriter, IsTerminal, Write, stderr, stdout};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context;

use super::Output;
use super::attempts::AttemptArgs;
use super::output::style;
use super::watch::time;
use crate::counter::Scope;
use crate::diagnose::{self, Diagnosis, Expectation, Health, Render, Settings, Text};
use crate::flow;
use crate::host::{Netns, platform};
use crate::pipeline::{self, Watch};
use crate::settings::{self, SettingsError, shortened};
use crate::sink::JsonLines;

/// Exit status where something is wrong.
const UNHEALTHY: u8 = 3;

/// Expectations that can be judged in the time of a line.
const MOST_EXPECTATIONS: usize = 256;

#[derive(Clone, Debug, clap::Args)]
#[command(
    after_help = "Exit status: 0 nothing is wrong, 3 something is wrong (also if CMD went well), 1 it could not be done, \
                        2 wrong command line; with CMD and nothing wrong, that of CMD."
)]
pub(super) struct DiagnoseArgs {
    /// How long to watch, if there is no command
    #[arg(long = "for", value_name = "TIME", value_parser = time, default_value = "30s")]
    time: Duration,
    /// Traffic that there should be: in:tcp:80, out:tcp:mcr.example.com:443, out:udp:53; if it is not seen, that is a finding
    #[arg(long, value_name = "WHAT")]
    expect: Vec<String>,
    #[command(flatten)]
    attempts: AttemptArgs,
    /// Run a command, and watch while it runs: one failure of its is enough to be told
    #[arg(last = true, value_name = "CMD")]
    command: Vec<OsString>,
}

pub(super) fn run(args: DiagnoseArgs) -> anyhow::Result<ExitCode> {
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().build().context("can't start the event loop")?;
    runtime.block_on(async {
        let signals = pipeline::Signals::new().context("can't handle signals")?;
        let (namespaces, expectations) = asked_for(&args)?;
        let total = args.command.is_empty().then_some(args.time);
        let (kernel, programs, only) = args.attempts.load()?;
        let plan = flow::Plan {
            udp_ports: expectations.iter().filter_map(Expectation::udp_port).collect(),
            namespaces,
            ..flow::Plan::default()
        };
        let settings = Settings {
            expectations,
            scope: plan.namespaces.iter().map(|netns| netns.inode).collect(),
            has_command: !args.command.is_empty(),
            platform: platform::read(),
        };
        let diagnosis = Diagnosis::new(renderer(args.attempts.output, total), settings);
        let health = diagnosis.health();
        let watch = Watch {
            duration: total,
            command: args.command,
            only,
            counters: Scope::All,
            flows: Some(plan),
            names: args.attempts.names.plan(),
            pods: args.attempts.pods.selection()?,
            ..Watch::default()
        };
        let status = pipeline::run(watch, programs, kernel, signals, Box::new(diagnosis)).await?;
        let health = health.lock().map_or(Health::Unhealthy, |health| *health);
        match health {
            Health::Healthy => Ok(status),
            Health::Unhealthy => Ok(ExitCode::from(UNHEALTHY)),
            Health::Blind => anyhow::bail!("{}", blind(args.attempts.chosen())),
        }
    })
}

/// Why nothing could be seen.
fn blind(chosen: &[String]) -> String {
    let place = if chosen.is_empty() { "the host".to_owned() } else { shortened(&chosen.join(", ")) };
    format!(
        "nothing could be seen: no interface leads out of {place}; choose another namespace with --netns, or run it while the \
         pod is there"
    )
}

/// The namespaces and what is expected, with the addresses of names as the first namespace has them.
fn asked_for(args: &DiagnoseArgs) -> anyhow::Result<(Vec<Netns>, Vec<Expectation>)> {
    if args.expect.len() > MOST_EXPECTATIONS {
        let (what, count, most) = ("--expect", args.expect.len(), MOST_EXPECTATIONS as u32);
        return Err(SettingsError::TooMany { what, count, most }.into());
    }
    let expectations: Result<Vec<Expectation>, _> = args.expect.iter().map(|text| text.parse()).collect();
    let mut expectations = expectations?;
    let namespaces = args.attempts.namespaces()?;
    if expectations.iter().any(|expectation| expectation.host().is_some_and(|host| host.addresses.is_empty())) {
        let from = namespaces.first().cloned().map_or_else(|| settings::netns(None), Ok)?;
        diagnose::resolve(&mut expectations, &from);
    }
    Ok((namespaces, expectations))
}

/// The way to standard output; progress is shown where somebody sees it, and no command writes between.
fn renderer(output: Output, total: Option<Duration>) -> Box<dyn Render> {
    let out = BufWriter::new(stdout());
    let is_watched = total.is_some() && stdout().is_terminal() && stderr().is_terminal();
    match output {
        Output::Json => Box::new(JsonLines::new(out)),
        Output::Text => {
            let terminal = is_watched.then(|| Box::new(stderr()) as Box<dyn Write>);
            Box::new(Text::new(out, style(), terminal, total))
        }
    }
}
