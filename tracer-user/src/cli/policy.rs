//! `whydrop policy`: what the network policies say, without waiting for a packet.

use std::io::{BufWriter, Write, stdout};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use tracer_policy::World;
use tracer_policy::model::Protocol;

use super::Output;
use super::kubernetes::{NameArgs, PodArgs};
use crate::policy::{self, Change, Connections, Objects, PolicyError, Trial, Word};
use crate::recording;

/// Exit status where something is denied, or would break.
const DENIED: u8 = 3;

#[derive(Clone, Debug, clap::Args)]
pub(super) struct PolicyArgs {
    #[command(subcommand)]
    command: PolicyCommand,
}

#[derive(Clone, Debug, clap::Subcommand)]
enum PolicyCommand {
    /// Whether one connection is allowed, by what, and what would allow it
    #[command(
        after_help = "Exit status: 0 allowed, 3 denied, 1 not decided or it could not be asked, 2 wrong command line."
    )]
    Check(CheckArgs),
    /// Who may talk to whom: every pod to every other
    Matrix(MatrixArgs),
    /// Which of the connections that were seen a change would break or allow
    #[command(
        after_help = "Exit status: 0 nothing would break, 3 something would, 1 it could not be asked, 2 wrong command line."
    )]
    Try(TryArgs),
}

/// Where the objects come from, and how answers are printed.
#[derive(Clone, Debug, clap::Args)]
struct WorldArgs {
    /// Manifests in YAML or JSON, a file or a folder, instead of the cluster; may be given several times
    #[arg(long, value_name = "PATH")]
    manifests: Vec<PathBuf>,
    /// How to print
    #[arg(short, long, value_name = "FORMAT", default_value = "text")]
    output: Output,
    #[command(flatten)]
    names: NameArgs,
}

impl WorldArgs {
    fn world(&self) -> Result<World, PolicyError> {
        policy::world(&self.manifests, self.names.plan())
    }
}

#[derive(Clone, Debug, clap::Args)]
struct CheckArgs {
    /// Who begins: NAMESPACE/POD (or the name of its workload) or an address
    #[arg(long, value_name = "WHO")]
    from: String,
    /// For whom: NAMESPACE/POD, NAMESPACE/SERVICE, svc/NAMESPACE/SERVICE or an address
    #[arg(long, value_name = "WHOM")]
    to: String,
    /// Port of the destination; of a Service its own
    #[arg(long, value_name = "PORT", value_parser = clap::value_parser!(u16).range(1..))]
    port: u16,
    /// tcp, udp or sctp
    #[arg(long, value_name = "PROTOCOL", value_parser = protocol, default_value = "tcp")]
    protocol: Protocol,
    #[command(flatten)]
    world: WorldArgs,
}

#[derive(Clone, Debug, clap::Args)]
struct MatrixArgs {
    /// Port of every destination
    #[arg(long, value_name = "PORT", value_parser = clap::value_parser!(u16).range(1..))]
    port: u16,
    /// tcp, udp or sctp
    #[arg(long, value_name = "PROTOCOL", value_parser = protocol, default_value = "tcp")]
    protocol: Protocol,
    #[command(flatten)]
    world: WorldArgs,
    #[command(flatten)]
    pods: PodArgs,
}

#[derive(Clone, Debug, clap::Args)]
struct TryArgs {
    /// Manifests that would be applied; - for standard input; may be given several times
    #[arg(short, long, value_name = "FILE", required_unless_present = "delete")]
    filename: Vec<PathBuf>,
    /// A policy that would be deleted: KIND/NAMESPACE/NAME; may be given several times
    #[arg(long, value_name = "POLICY")]
    delete: Vec<String>,
    /// Connections that `whydrop verdicts -o json` was saved to, - for standard input; else what a running whydrop has seen
    #[arg(long, value_name = "FILE")]
    from: Option<PathBuf>,
    #[command(flatten)]
    world: WorldArgs,
}

fn protocol(text: &str) -> Result<Protocol, String> {
    Protocol::parse(text).ok_or_else(|| "write tcp, udp or sctp".to_owned())
}

pub(super) fn run(args: &PolicyArgs) -> anyhow::Result<ExitCode> {
    match &args.command {
        PolicyCommand::Check(args) => check(args),
        PolicyCommand::Matrix(args) => matrix(args),
        PolicyCommand::Try(args) => attempt(args),
    }
}

fn check(args: &CheckArgs) -> anyhow::Result<ExitCode> {
    let checks = policy::check(&args.world.world()?, &args.from, &args.to, args.port, args.protocol)?;
    for check in &checks {
        args.world.output.print(&check.text(), check)?;
    }
    let has = |word| checks.iter().any(|check| check.verdict() == word);
    Ok(match (has(Word::Denied), has(Word::Unknown)) {
        (true, _) => ExitCode::from(DENIED),
        (false, true) => ExitCode::FAILURE,
        (false, false) => ExitCode::SUCCESS,
    })
}

fn matrix(args: &MatrixArgs) -> anyhow::Result<ExitCode> {
    let selection = args.pods.selection()?;
    let world = args.world.world()?;
    let matrix = policy::matrix(&world, &selection, args.port, args.protocol);
    let mut out = BufWriter::new(stdout().lock());
    match args.world.output {
        Output::Text => out.write_all(matrix.text().as_bytes())?,
        Output::Json => {
            for line in matrix.lines() {
                serde_json::to_writer(&mut out, &line)?;
                out.write_all(b"\n")?;
            }
        }
    }
    out.flush()?;
    Ok(ExitCode::SUCCESS)
}

fn attempt(args: &TryArgs) -> anyhow::Result<ExitCode> {
    let connections = match &args.from {
        Some(path) => Connections::read(path)?,
        None => Connections::of_running(&recording::find(Path::new("/proc"))?)?,
    };
    let world = args.world.world()?;
    let mut applied = Objects::default();
    for path in &args.filename {
        applied.add(Objects::read(path)?);
    }
    let deleted = args.delete.iter().map(|given| policy::deleted(&world, given)).collect::<Result<_, _>>()?;
    let trial = Trial::new(&world, Change { applied, deleted }, &connections);
    args.world.output.print(&trial.text(), &trial)?;
    Ok(if trial.breaks() { ExitCode::from(DENIED) } else { ExitCode::SUCCESS })
}
