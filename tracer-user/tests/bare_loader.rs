//! The loader without BTF. Alone in its process: while it is made, no file can be opened.

#[test]
fn the_loader_reads_no_btf_and_leaves_no_limit_behind() {
    let limits = || std::fs::read_to_string("/proc/self/limits").unwrap();
    let before = limits();
    let loader = whydrop::btf::bare_loader();
    assert!(format!("{loader:?}").starts_with("EbpfLoader { btf: None,"));
    assert_eq!(limits(), before);
}
