//! `/proc/PID/mountinfo`: which network namespaces are bind-mounted, and where.
//!
//! Rule: parsing only. A line that is not understood is passed over; paths are bytes chosen by whoever mounted.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::path::PathBuf;

/// A bind mount of a network namespace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NetnsMount {
    /// The namespace's inode number.
    pub netns: u32,
    /// The mount point, as seen from the process whose `mountinfo` this is.
    pub path: PathBuf,
}

/// All bind-mounted network namespaces, in file order.
///
/// `nsfs` shows its root as `net:[inode]` (`fs/nsfs.c`, `nsfs_show_path`, since 4.3), so no mount has to be touched.
pub fn parse(text: &[u8]) -> impl Iterator<Item = NetnsMount> {
    text.split(|&byte| byte == b'\n').filter_map(line)
}

/// `id parent major:minor root mount-point options [optional…] - type source super-options`
fn line(line: &[u8]) -> Option<NetnsMount> {
    let mut fields = line.split(|&byte| byte == b' ');
    let root = fields.nth(3)?;
    let path = fields.next()?;
    let kind = fields.skip_while(|field| *field != b"-").nth(1)?;
    if kind != b"nsfs" {
        return None;
    }
    Some(NetnsMount { netns: inode(root)?, path: PathBuf::from(OsString::from_vec(unescape(path))) })
}

/// The inode in `net:[4026531840]`; none for another kind of namespace.
pub fn inode(text: &[u8]) -> Option<u32> {
    let digits = text.strip_prefix(b"net:[")?.strip_suffix(b"]")?;
    std::str::from_utf8(digits).ok()?.parse().ok()
}

/// The kernel writes space, tab, newline, backslash and `#` as three octal digits (`mangle_path`).
fn unescape(path: &[u8]) -> Vec<u8> {
    let mut plain = Vec::with_capacity(path.len());
    let mut rest = path;
    while let Some((&byte, after)) = rest.split_first() {
        if byte == b'\\'
            && let Some((digits, next)) = after.split_first_chunk::<3>()
            && let Some(value) = octal(*digits)
        {
            plain.push(value);
            rest = next;
        } else {
            plain.push(byte);
            rest = after;
        }
    }
    plain
}

fn octal(digits: [u8; 3]) -> Option<u8> {
    digits.iter().try_fold(0u8, |value, &digit| {
        let digit = digit.checked_sub(b'0').filter(|digit| *digit < 8)?;
        value.checked_mul(8)?.checked_add(digit)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "\
22 27 0:21 / /proc rw,relatime - proc proc rw
27 1 254:0 / / rw,relatime shared:1 - ext4 /dev/vda rw,discard
610 41 0:4 net:[4026532281] /run/netns/cni-1c0ba3a5-5d6c rw shared:257 - nsfs nsfs rw
611 41 0:4 net:[4026532281] /var/run/netns/cni-1c0ba3a5-5d6c rw shared:257 master:3 - nsfs nsfs rw
612 41 0:4 mnt:[4026532282] /run/snapd/ns/lxd.mnt rw - nsfs nsfs rw
613 41 0:4 net:[4026532400] /run/netns/odd\\040name\\134 rw - nsfs nsfs rw
614 41 0:4 net:[99999999999] /run/netns/overflow rw - nsfs nsfs rw
615 41 0:4 net:[4026532401] /run/netns/forged rw - tmpfs nsfs rw
short line
";

    #[test]
    fn only_network_namespaces_are_taken() {
        let mounts: Vec<_> = parse(TEXT.as_bytes()).map(|m| (m.netns, m.path.display().to_string())).collect();
        let expected = [
            (4_026_532_281, "/run/netns/cni-1c0ba3a5-5d6c"),
            (4_026_532_281, "/var/run/netns/cni-1c0ba3a5-5d6c"),
            (4_026_532_400, "/run/netns/odd name\\"),
        ];
        assert_eq!(mounts, expected.map(|(netns, path)| (netns, path.to_owned())));
    }

    #[test]
    fn escapes_that_are_not_octal_stay_as_they_are() {
        assert_eq!(unescape(br"a\040b\9\777\04"), br"a b\9\777\04");
        assert_eq!(unescape(br"\"), br"\");
    }

    #[test]
    fn cut_lines_never_panic() {
        for cut in 0..TEXT.len() {
            assert!(parse(&TEXT.as_bytes()[..cut]).count() <= 3);
        }
    }
}
