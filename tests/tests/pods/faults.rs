//! A runtime that is missing, hangs, lies or goes away costs its names, and is said once.

use std::io::Write as _;
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::thread;

use anyhow::Result;
use tracer_policy::model::ObjectName;
use tracer_tests::cri::Manner;
use tracer_tests::{FakeCri, eventually};
use whydrop::kubernetes::Directory;

use super::index::{follow, knows};

fn says(directory: &Directory, what: &str) -> bool {
    directory.gaps().iter().any(|gap| gap.contains(what))
}

#[test]
fn a_socket_that_is_not_there_is_named() -> Result<()> {
    let directory = follow("/nonexistent/whydrop.sock")?;
    assert!(says(&directory, "/nonexistent/whydrop.sock"), "{:?}", directory.gaps());
    assert!(says(&directory, "--cri"), "what to do");
    Ok(())
}

#[test]
fn a_runtime_that_hangs_is_said_and_what_was_known_stays() -> Result<()> {
    let cri = FakeCri::new()?;
    cri.pod("shop", "web-0").address("10.0.0.2").run();
    let directory = follow(cri.path())?;
    cri.behave(Manner::Hangs);
    eventually("it is said", || Ok(says(&directory, "does not answer within")))?;
    assert!(knows(&directory, "shop", "web-0"));
    cri.behave(Manner::Answers);
    eventually("it is not said any more", || Ok(directory.gaps().is_empty()))
}

#[test]
fn a_runtime_that_hangs_from_the_start_is_said() -> Result<()> {
    let cri = FakeCri::new()?;
    cri.behave(Manner::Hangs);
    let directory = follow(cri.path())?;
    assert!(says(&directory, "does not answer within"), "{:?}", directory.gaps());
    Ok(())
}

#[test]
fn a_runtime_that_is_restarted_is_found_again() -> Result<()> {
    let cri = FakeCri::new()?;
    cri.pod("shop", "stays").address("10.0.0.2").run();
    cri.pod("shop", "goes").address("10.0.0.3").run();
    let directory = follow(cri.path())?;
    cri.vanish();
    eventually("it is said", || Ok(!directory.gaps().is_empty()))?;
    assert!(knows(&directory, "shop", "goes"), "nobody said that it went");
    cri.stop("shop", "goes");
    cri.pod("shop", "comes").address("10.0.0.4").run();
    cri.start()?;
    eventually("the new pod is known", || Ok(knows(&directory, "shop", "comes")))?;
    assert!(knows(&directory, "shop", "stays") && !knows(&directory, "shop", "goes"));
    eventually("nothing is missing", || Ok(directory.gaps().is_empty()))
}

/// A socket behind which somebody says this and hangs up; removed on drop.
struct Babble(PathBuf);

impl Babble {
    fn new(name: &str, words: &'static [u8]) -> Result<Self> {
        let path = std::env::temp_dir().join(format!("wd-babble-{name}-{}.sock", std::process::id()));
        let listener = UnixListener::bind(&path)?;
        thread::spawn(move || {
            for mut peer in listener.incoming().flatten() {
                let _gone = peer.write_all(words);
            }
        });
        Ok(Self(path))
    }
}

impl Drop for Babble {
    fn drop(&mut self) {
        let _gone = std::fs::remove_file(&self.0);
    }
}

#[test]
fn what_is_no_runtime_is_said() -> Result<()> {
    static NOISE: [u8; 70_000] = [0xff; 70_000];
    let speakers: [(&str, &[u8]); 4] = [
        ("http", b"HTTP/1.1 400 Bad Request\r\n\r\n"),
        ("noise", &NOISE),
        ("nothing", b""),
        ("frame", b"\x00\x00\x00\x04\x00\x00\x00\x00\x00\xff\xff\xff\xff\xff\xff\xff\xff\xff"),
    ];
    for (name, words) in speakers {
        let babble = Babble::new(name, words)?;
        let directory = follow(babble.0.to_str().unwrap_or_default())?;
        assert!(says(&directory, &format!("wd-babble-{name}")), "{name}: {:?}", directory.gaps());
    }
    Ok(())
}

#[test]
fn lies_are_left_out_and_said() -> Result<()> {
    let cri = FakeCri::new()?;
    cri.pod("shop", "file").address("10.0.0.2").netns(Path::new("/etc/passwd")).run();
    cri.pod("shop", "host").address("10.0.0.3").netns(Path::new("/proc/self/ns/net")).run();
    cri.pod("shop", "address").address("not an address").run();
    cri.pod("shop", "huge").address("10.0.0.4").labels(&[("k", &"x".repeat(100_000))]).info(&"[".repeat(100_000)).run();
    cri.pod("shop", "\u{1b}[2J").address("10.0.0.5").run();
    cri.pod("shop", "honest").address("10.0.0.6").run();
    let directory = follow(cri.path())?;
    for name in ["file", "host", "address", "huge", "honest"] {
        assert!(knows(&directory, "shop", name), "{name}");
        assert_eq!(directory.read().netns_of(&ObjectName::new("shop", name)), None, "{name}");
    }
    assert!(!knows(&directory, "shop", "\u{1b}[2J"));
    assert!(says(&directory, "can't be used for 4 pods"), "{:?}", directory.gaps());
    Ok(())
}

#[test]
fn more_pods_than_a_node_can_have_are_left_out() -> Result<()> {
    let cri = FakeCri::new()?;
    for number in 0..4100 {
        cri.pod("flood", &format!("p{number}")).host_network().run();
    }
    let directory = follow(cri.path())?;
    eventually("most are known", || Ok(directory.read().world().pods().count() == 4096))?;
    assert!(says(&directory, "4 pods of"), "{:?}", directory.gaps());
    Ok(())
}
