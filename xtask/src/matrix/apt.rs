//! Debian's packages of all its releases, beside the machine's own apt, which never hears of them.
//!
//! Rule: lists and packages stay below the matrix's own directory. A suite that does not answer is a warning: the kernels of
//! the others are there all the same.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result};

use super::empty;
use crate::process::{self, run};

const SUITES: &str = "bullseye bookworm bookworm-backports trixie trixie-backports forky sid";
const SECURITY_SUITES: &str = "bullseye-security bookworm-security trixie-security";
/// Signs all of the above; Debian has it from the start, others in debian-archive-keyring.
const KEYRING: &str = "/usr/share/keyrings/debian-archive-keyring.gpg";

/// Lists of this age are good enough.
const FRESH: Duration = Duration::from_hours(24);

pub(super) struct Apt {
    directory: PathBuf,
}

impl Apt {
    /// Sets up below `directory` and brings the lists up to date when they are old.
    pub(super) fn open(directory: &Path) -> Result<Self> {
        let apt = Self { directory: directory.to_owned() };
        let cannot = || format!("cannot write below `{}`", directory.display());
        for part in ["lists/partial", "cache/archives/partial"] {
            fs::create_dir_all(directory.join(part)).with_context(cannot)?;
        }
        let mirror = own_mirror("Debian")
            .context("this machine's apt knows no Debian mirror: the kernels are fetched from the one it uses")?;
        let security = own_mirror("Debian-Security").unwrap_or_else(|| format!("{mirror}-security"));
        let sources = sources(&mirror, &security);
        fs::write(directory.join("debian.sources"), sources).with_context(cannot)?;
        fs::write(apt.configuration(), configuration(directory)).with_context(cannot)?;
        apt.update()?;
        Ok(apt)
    }

    fn update(&self) -> Result<()> {
        let updated = self.directory.join("updated");
        let age = fs::metadata(&updated).and_then(|file| file.modified()).ok().and_then(|time| time.elapsed().ok());
        if age.is_some_and(|age| age < FRESH) {
            return Ok(());
        }
        match run(self.command("apt-get").args(["-qq", "update"])) {
            Ok(()) => fs::write(&updated, "").with_context(|| format!("cannot write `{}`", updated.display())),
            Err(error) => {
                eprintln!("warning: {error:#}");
                Ok(())
            }
        }
    }

    /// The names of all packages of cloud kernels.
    pub(super) fn kernels(&self) -> Result<String> {
        let mut search = self.command("apt-cache");
        search.args(["search", "--names-only", r"^linux-(image|binary|modules)-[0-9].*-cloud-amd64$"]);
        let found = process::output(&mut search).context("apt-cache cannot search Debian's packages; see above")?;
        Ok(found.lines().filter_map(|line| line.split_whitespace().next()).collect::<Vec<_>>().join(" "))
    }

    /// Unpacks packages into `tree`, which appears when it is complete.
    pub(super) fn unpack(&self, packages: &[&str], tree: &Path) -> Result<()> {
        let downloads = self.directory.join("downloads");
        let beside = self.directory.join("unpacking");
        for directory in [&downloads, &beside] {
            empty(directory).with_context(|| format!("cannot empty `{}`", directory.display()))?;
        }
        run(self.command("apt-get").current_dir(&downloads).args(["-qq", "download"]).args(packages))?;
        for package in fs::read_dir(&downloads)? {
            run(Command::new("dpkg-deb").arg("--extract").arg(package?.path()).arg(&beside))?;
        }
        let place = || -> std::io::Result<()> {
            fs::create_dir_all(tree.parent().unwrap_or(tree))?;
            fs::rename(&beside, tree)?;
            fs::remove_dir_all(&downloads)
        };
        place().with_context(|| format!("cannot put the unpacked kernel at `{}`", tree.display()))
    }

    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command.env("APT_CONFIG", self.configuration());
        command
    }

    fn configuration(&self) -> PathBuf {
        self.directory.join("apt.conf")
    }
}

/// The mirror that this machine already uses.
pub(crate) fn own_mirror(label: &str) -> Option<String> {
    let label = format!("Label: {label}");
    let mut targets = Command::new("apt-get");
    targets.args(["indextargets", "--format", "$(SITE)", "Identifier: Packages", "Origin: Debian", &label]);
    process::output(&mut targets)?.lines().next().map(str::to_owned)
}

fn sources(mirror: &str, security: &str) -> String {
    let source = |mirror, suites| {
        format!(
            "Types: deb\nURIs: {mirror}\nSuites: {suites}\nComponents: main\nArchitectures: amd64\nSigned-By: {KEYRING}\n"
        )
    };
    format!("{}\n{}", source(mirror, SUITES), source(security, SECURITY_SUITES))
}

fn configuration(directory: &Path) -> String {
    let directory = directory.display();
    format!(
        "Dir::State::lists \"{directory}/lists\";\n\
         Dir::Cache \"{directory}/cache\";\n\
         Dir::Etc::sourcelist \"{directory}/debian.sources\";\n\
         Dir::Etc::sourceparts \"/dev/null\";\n\
         Acquire::Languages \"none\";\n\
         APT::Sandbox::User \"\";\n"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_suite_is_asked_at_its_own_mirror() {
        let text = sources("http://mirror/debian", "http://mirror/security");
        let (main, security) = text.split_once("\n\n").unwrap();
        assert!(main.contains("URIs: http://mirror/debian\n") && main.contains(" trixie-backports "), "{main}");
        assert!(security.contains("URIs: http://mirror/security\n") && security.contains("bookworm-security"));
        assert!(!main.contains("-security"), "{main}");
    }

    #[test]
    fn the_machines_own_lists_and_sources_are_left_out() {
        let text = configuration(Path::new("/m/apt"));
        for path in ["lists \"/m/apt/lists\"", "Cache \"/m/apt/cache\"", "sourceparts \"/dev/null\""] {
            assert!(text.contains(path), "{text}");
        }
    }
}
