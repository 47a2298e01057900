//! Which kernels there are: of each line that was asked for, the newest cloud image of the packages on offer.
//!
//! Rule: nothing names a point release. They come and go in the archive, so the newest is found at run time.

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

/// What the package of a cloud kernel's image is called around its release.
const IMAGE: (&str, &str) = ("linux-image-", "-cloud-amd64");

/// A line of kernels, such as 6.12.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Line(u64, u64);

impl FromStr for Line {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let numbers = text.split_once('.').map(|(major, minor)| (major.parse(), minor.parse()));
        match numbers {
            Some((Ok(major), Ok(minor))) => Ok(Self(major, minor)),
            _ => Err("a kernel line is written like 6.12"),
        }
    }
}

impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.0, self.1)
    }
}

/// A kernel whose packages are unpacked.
#[derive(Clone, Debug)]
pub(super) struct Kernel {
    pub(super) line: Line,
    /// What `uname -r` says there.
    pub(super) release: String,
    /// Where its packages are unpacked.
    pub(super) tree: PathBuf,
}

impl Kernel {
    /// The kernel itself, wherever its packages have it.
    pub(super) fn image(&self) -> PathBuf {
        let beside_modules = self.modules().join("vmlinuz");
        if beside_modules.is_file() { beside_modules } else { self.boot("vmlinuz") }
    }

    /// Its build options.
    pub(super) fn config(&self) -> PathBuf {
        self.boot("config")
    }

    fn boot(&self, what: &str) -> PathBuf {
        self.tree.join("boot").join(format!("{what}-{}", self.release))
    }

    /// Its modules; which of the two places it is depends on the age of the package.
    pub(super) fn modules(&self) -> PathBuf {
        let place = |root: &str| self.tree.join(root).join(&self.release);
        let merged = place("usr/lib/modules");
        if merged.is_dir() { merged } else { place("lib/modules") }
    }
}

/// The newest release of a line among names of packages, as `uname -r` will say it.
pub(super) fn newest(line: Line, packages: &str) -> Option<String> {
    let releases = packages.split_whitespace().filter_map(|package| {
        let release = package.strip_prefix(IMAGE.0)?;
        let version = numbers(release.strip_suffix(IMAGE.1)?);
        // The package of the whole line, which only leads to the newest, has no third number.
        (version.len() > 2 && version.starts_with(&[line.0, line.1])).then_some((version, release))
    });
    releases.max().map(|(_, release)| release.to_owned())
}

/// The numbers of a release, which order releases of one line: `6.1.0-0.deb11.52` is older than `6.1.0-56`.
fn numbers(release: &str) -> Vec<u64> {
    release.split(|c: char| !c.is_ascii_digit()).filter_map(|number| number.parse().ok()).collect()
}

/// The packages that a release can be made of: newer ones leave the image's own package empty.
pub(super) fn packages(release: &str) -> [String; 3] {
    ["image", "binary", "modules"].map(|part| format!("linux-{part}-{release}"))
}

/// Where the packages of a release are unpacked.
pub(super) fn tree(directory: &Path, release: &str) -> PathBuf {
    directory.join("kernels").join(release)
}

#[cfg(test)]
mod tests {
    use super::*;

    const PACKAGES: &str = "linux-image-6.1-cloud-amd64 linux-image-6.1.0-9-cloud-amd64 linux-image-6.1.0-56-cloud-amd64
        linux-image-6.1.0-0.deb11.99-cloud-amd64 linux-image-6.1.0-60-amd64 linux-image-6.1.0-61-cloud-amd64-unsigned
        linux-image-6.12.117+deb12-cloud-amd64 linux-image-6.12.117+deb13-cloud-amd64 linux-image-6.12.95+deb13-cloud-amd64
        linux-image-6.12-cloud-amd64 linux-image-6.120.1-cloud-amd64 linux-modules-7.2.13+deb14-cloud-amd64
        linux-image-7.2.13+deb14-cloud-amd64 linux-image-7.2.9+deb13-cloud-amd64 linux-image-5.10.0-46-cloud-arm64";

    fn newest_of(line: &str) -> Option<String> {
        newest(line.parse().unwrap(), PACKAGES)
    }

    #[test]
    fn the_newest_of_a_line_is_chosen_by_number_and_not_by_letter() {
        assert_eq!(newest_of("6.1").as_deref(), Some("6.1.0-56-cloud-amd64"));
        assert_eq!(newest_of("6.12").as_deref(), Some("6.12.117+deb13-cloud-amd64"));
        assert_eq!(newest_of("7.2").as_deref(), Some("7.2.13+deb14-cloud-amd64"));
    }

    #[test]
    fn a_line_that_is_gone_has_no_newest() {
        for gone in ["5.10", "6.0", "61.2", "6.11"] {
            assert_eq!(newest_of(gone), None, "{gone}");
        }
        assert_eq!(newest("6.1".parse().unwrap(), ""), None);
    }

    #[test]
    fn a_line_is_two_numbers() {
        assert_eq!("6.12".parse::<Line>().unwrap().to_string(), "6.12");
        for bad in ["6", "6.", "6.12.3", "v6.1", "", "6,1", "6.1-rc1"] {
            assert!(bad.parse::<Line>().is_err(), "{bad}");
        }
    }
}
