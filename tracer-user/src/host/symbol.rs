//! Kernel addresses to function names. Rule: the table is read once (50 to 90 ms, nearly all of it the kernel writing
//! the text), holds functions only, and stays at 12 bytes and a name for each: 2 to 5 MB. Asking the file for each new
//! address instead would cost as much CPU every time.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::time::{Duration, Instant};

/// Every symbol of the kernel and its modules, a line each: `ADDRESS TYPE NAME`, and for a module a tab and `[MODULE]`
/// (kernel/kallsyms.c, 6.12).
const KALLSYMS: &str = "/proc/kallsyms";
const KPTR_RESTRICT: &str = "/proc/sys/kernel/kptr_restrict";

/// No function is longer, in bytes (the longest of Linux 6.18 has 20,704): what lies further behind a symbol than this
/// is not part of it.
const MAX_FUNCTION: u64 = 64 << 10;

/// Longest line in bytes: a name has at most 511 and a module 55 (`KSYM_NAME_LEN`, `MODULE_NAME_LEN`, 6.12).
const MAX_LINE: u64 = 1024;

/// Most text that is read, in bytes; kernels with all their modules have about 20 MB.
const MAX_TEXT: u64 = 128 << 20;

/// The table is read again at most this often: unknown addresses may come with every event.
const REFRESH: Duration = Duration::from_secs(30);

/// Not functions, but marks in front of them: `CONFIG_PREFIX_SYMBOLS` (from 6.3) and kernel control-flow integrity.
const MARKS: [&[u8]; 2] = [b"__pfx_", b"__cfi_"];

/// Why addresses stay numbers.
#[derive(Debug, thiserror::Error)]
pub enum SymbolError {
    #[error("cannot read the kernel's symbols from {KALLSYMS}: {0}; mount /proc, or functions are shown as addresses")]
    Unreadable(#[from] io::Error),
    #[error("the kernel has no functions in {KALLSYMS}: without CONFIG_KALLSYMS=y they are shown as addresses")]
    Absent,
    #[error(
        "the kernel hides its symbols (kernel.kptr_restrict is {kptr_restrict}), so functions are shown as addresses: \
         {}",
        fix(kptr_restrict)
    )]
    Hidden {
        /// The setting, or `unknown`.
        kptr_restrict: String,
    },
}

fn fix(kptr_restrict: &str) -> &'static str {
    match kptr_restrict {
        "2" => "run `sysctl -w kernel.kptr_restrict=1` and start whydrop with CAP_SYSLOG",
        _ => "start whydrop as root or with CAP_SYSLOG",
    }
}

/// The functions of the kernel, its modules and BPF programs.
pub struct Symbols {
    /// Sorted by address, each address once.
    functions: Vec<Function>,
    /// `NAME`, or `NAME<tab>[MODULE]`, each followed by a newline.
    text: Vec<u8>,
    read_at: Option<Instant>,
}

/// Packed: 12 bytes instead of 16 for each of 60,000 to 150,000 functions.
#[derive(Clone, Copy)]
#[repr(C, packed(4))]
struct Function {
    address: u64,
    /// Where its line begins in the text.
    line: u32,
}

/// A place in a function.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Symbol<'a> {
    /// Without what the compiler appends to parts and clones of a function, such as `.isra.0` or `.cold`.
    pub name: &'a str,
    /// Bytes from the start of the function, or of its part.
    pub offset: u64,
    /// The module, or `bpf` for a BPF program; [`None`] in the kernel itself.
    pub module: Option<&'a str>,
}

impl Symbols {
    /// Reads the whole table.
    pub fn load() -> Result<Self, SymbolError> {
        Self::read(open()?)
    }

    /// Tells whether [`Self::load`] would find anything, without reading it all.
    pub fn probe() -> Result<(), SymbolError> {
        let mut reader = open()?.take(MAX_TEXT);
        let mut line = Vec::new();
        while next_line(&mut reader, &mut line)? {
            if let Some((address, _)) = function(&line) {
                return visible(address);
            }
        }
        Err(SymbolError::Absent)
    }

    /// The function that an address is in; [`None`] where there is none, as in the data of the kernel.
    pub fn resolve(&self, address: u64) -> Option<Symbol<'_>> {
        let after = self.functions.partition_point(|function| function.address <= address);
        let function = self.functions.get(after.checked_sub(1)?)?;
        let offset = address.checked_sub(function.address).filter(|&offset| offset < MAX_FUNCTION)?;
        let line = self.text.get(function.line as usize..)?.split(|&byte| byte == b'\n').next()?;
        let line = str::from_utf8(line).ok()?;
        let (name, module) = line.split_once('\t').map_or((line, None), |(name, module)| (name, Some(module)));
        let module = module.map(|module| module.trim_start_matches('[').trim_end_matches(']'));
        Some(Symbol { name: without_suffixes(name), offset, module })
    }

    /// Reads the table again if one of these addresses is not in it, as after the load of a module, and the last time
    /// is long enough ago. Returns whether it did; after an error the old table stays.
    pub fn refresh_for(&mut self, addresses: &[u64], now: Instant) -> Result<bool, SymbolError> {
        let is_due = self.read_at.is_none_or(|at| now.saturating_duration_since(at) >= REFRESH);
        if !is_due || addresses.iter().all(|&address| self.resolve(address).is_some()) {
            return Ok(false);
        }
        self.read_at = Some(now);
        *self = Self { read_at: Some(now), ..Self::load()? };
        Ok(true)
    }

    fn read(reader: impl BufRead) -> Result<Self, SymbolError> {
        let mut reader = reader.take(MAX_TEXT);
        let (mut functions, mut text, mut line) = (Vec::new(), Vec::new(), Vec::new());
        while next_line(&mut reader, &mut line)? {
            let Some((address, name)) = function(&line) else { continue };
            if functions.is_empty() {
                visible(address)?;
            }
            functions.push(Function { address, line: text.len() as u32 });
            text.extend_from_slice(name);
            text.push(b'\n');
        }
        if functions.is_empty() {
            return Err(SymbolError::Absent);
        }
        // Of names for one address the kernel puts the best first; the sort keeps that order.
        functions.sort_by_key(|function| function.address);
        functions.dedup_by_key(|function| function.address);
        functions.shrink_to_fit();
        text.shrink_to_fit();
        Ok(Self { functions, text, read_at: None })
    }
}

fn open() -> io::Result<BufReader<File>> {
    Ok(BufReader::with_capacity(64 << 10, File::open(KALLSYMS)?))
}

/// Reads the next line, or the first part of one that is too long, into `line`.
fn next_line(reader: &mut impl BufRead, line: &mut Vec<u8>) -> io::Result<bool> {
    line.clear();
    Ok(reader.by_ref().take(MAX_LINE).read_until(b'\n', line)? > 0)
}

/// Address and name (with its module) of a line that stands for a function.
fn function(line: &[u8]) -> Option<(u64, &[u8])> {
    let line = line.strip_suffix(b"\n")?;
    let mut parts = line.splitn(3, |&byte| byte == b' ');
    let (address, kind, name) = (parts.next()?, parts.next()?, parts.next()?);
    let is_mark = MARKS.iter().any(|mark| name.starts_with(mark));
    let is_text = name.iter().all(|&byte| byte.is_ascii_graphic() || byte == b'\t');
    if !matches!(kind, b"t" | b"T" | b"w" | b"W") || is_mark || !is_text || name.is_empty() {
        return None;
    }
    let address = u64::from_str_radix(str::from_utf8(address).ok()?, 16).ok()?;
    Some((address, name))
}

/// The kernel writes zero for every address that it does not tell.
fn visible(address: u64) -> Result<(), SymbolError> {
    if address != 0 {
        return Ok(());
    }
    let setting = std::fs::read_to_string(KPTR_RESTRICT);
    let kptr_restrict = setting.map_or_else(|_| "unknown".to_owned(), |value| value.trim().to_owned());
    Err(SymbolError::Hidden { kptr_restrict })
}

/// C names hold no dot: what follows the first one is the compiler's.
fn without_suffixes(name: &str) -> &str {
    name.split_once('.').map_or(name, |(name, _)| name)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Lines as kernels write them, in their order: functions, aliases of one address, marks, data, parts of functions,
    /// modules behind the kernel and out of order, BPF programs.
    const RECORDED: &str = "\
ffffffff81000000 T _stext
ffffffff81000000 T _text
ffffffff81000010 T __entry_text_start
ffffffff81a00ff0 t __pfx_ip_rcv_finish_core.constprop.0
ffffffff81a01000 t ip_rcv_finish_core.constprop.0
ffffffff81a015f0 T __pfx_ip_rcv
ffffffff81a01600 T ip_rcv
ffffffff81a01700 W arch_weak
ffffffff81a01800 t tcp_v4_rcv.part.0.isra.0
ffffffff81a01900 t __udp4_lib_rcv.llvm.1234567890
ffffffff81c00000 T _etext
ffffffff82000000 D init_net
ffffffff82000100 b hidden_state
ffffffff83000000 t tcp_v4_rcv.cold
ffffffffc0401000 t nft_do_chain\t[nf_tables]
ffffffffc0400000 t nf_tables_init\t[nf_tables]
ffffffffc0300000 t veth_xmit.isra.0\t[veth]
ffffffffc0500000 t bpf_prog_6deef7357e7b4530_sd_fw_egress\t[bpf]
";

    fn recorded() -> Symbols {
        Symbols::read(RECORDED.as_bytes()).unwrap()
    }

    #[track_caller]
    fn assert_symbol(address: u64, name: &str, offset: u64, module: Option<&str>) {
        assert_eq!(recorded().resolve(address), Some(Symbol { name, offset, module }));
    }

    #[test]
    fn addresses_are_in_the_function_that_begins_before_them() {
        assert_symbol(0xffff_ffff_81a0_1600, "ip_rcv", 0, None);
        assert_symbol(0xffff_ffff_81a0_16ff, "ip_rcv", 0xff, None);
        assert_symbol(0xffff_ffff_81a0_1700, "arch_weak", 0, None);
        assert_symbol(0xffff_ffff_81a0_15f8, "ip_rcv_finish_core", 0x5f8, None);
    }

    #[test]
    fn compiler_suffixes_are_cut_off() {
        assert_symbol(0xffff_ffff_81a0_1001, "ip_rcv_finish_core", 1, None);
        assert_symbol(0xffff_ffff_81a0_1810, "tcp_v4_rcv", 0x10, None);
        assert_symbol(0xffff_ffff_81a0_1902, "__udp4_lib_rcv", 2, None);
        assert_symbol(0xffff_ffff_8300_0003, "tcp_v4_rcv", 3, None);
    }

    #[test]
    fn modules_are_named_wherever_they_stand_in_the_file() {
        assert_symbol(0xffff_ffff_c030_0010, "veth_xmit", 0x10, Some("veth"));
        assert_symbol(0xffff_ffff_c040_1234, "nft_do_chain", 0x234, Some("nf_tables"));
        assert_symbol(0xffff_ffff_c050_0000, "bpf_prog_6deef7357e7b4530_sd_fw_egress", 0, Some("bpf"));
    }

    #[test]
    fn the_first_of_several_names_is_taken() {
        assert_symbol(0xffff_ffff_8100_0001, "_stext", 1, None);
    }

    #[test]
    fn what_is_no_function_has_no_name() {
        let symbols = recorded();
        for address in [0, 0x7fff_0000, 0xffff_ffff_80ff_ffff, 0xffff_ffff_8200_0000, 0xffff_ffff_c051_0000, u64::MAX] {
            assert_eq!(symbols.resolve(address), None, "{address:#x}");
        }
        assert!(symbols.resolve(0xffff_ffff_c050_ffff).is_some());
    }

    #[test]
    fn hidden_addresses_are_an_error_that_says_what_to_do() {
        let hidden = "0000000000000000 A fixed_percpu_data\n0000000000000000 T _stext\n";
        let error = Symbols::read(hidden.as_bytes()).err().unwrap();
        assert!(matches!(error, SymbolError::Hidden { .. }));
        let message = |setting: &str| SymbolError::Hidden { kptr_restrict: setting.into() }.to_string();
        assert!(message("2").contains(
            "(kernel.kptr_restrict is 2), so functions are shown as addresses: run `sysctl -w kernel.kptr_restrict=1`"
        ));
        assert!(message("1").contains(
            "(kernel.kptr_restrict is 1), so functions are shown as addresses: start whydrop as root or with CAP_SYSLOG"
        ));
    }

    #[test]
    fn nothing_but_rubbish_is_no_symbols() {
        let long = format!("ffffffff81000000 T {}\n", "x".repeat(5000));
        for text in
            ["", "\n\n", "ffff", "zz T x\n", "1 T \n", "1 TT x\n", "1 T a\u{1b}[0m\n", "1 D data\n", "1 T cut", &long]
        {
            assert!(matches!(Symbols::read(text.as_bytes()), Err(SymbolError::Absent)), "{text:?}");
        }
        assert!(matches!(Symbols::read(&[0xff, b' ', b'T', b' ', b'x', b'\n'][..]), Err(SymbolError::Absent)));
    }

    #[test]
    fn the_table_is_read_again_for_unknown_addresses_but_not_often() {
        let mut symbols = recorded();
        let start = Instant::now();
        let known = 0xffff_ffff_81a0_1600;
        assert!(!symbols.refresh_for(&[known], start).unwrap());
        if Symbols::probe().is_err() {
            return;
        }
        assert!(symbols.refresh_for(&[known, 1], start).unwrap());
        assert!(!symbols.refresh_for(&[1], start + Duration::from_secs(29)).unwrap());
        assert!(symbols.refresh_for(&[1], start + Duration::from_secs(30)).unwrap());
        assert!(!symbols.refresh_for(&[1], start).unwrap(), "a clock that goes backwards");
    }

    /// Every thousandth function of the running kernel, found again by an address inside of it.
    #[test]
    fn the_running_kernels_functions_are_found_again() {
        let symbols = match Symbols::load() {
            Ok(symbols) => symbols,
            Err(SymbolError::Hidden { .. }) => return,
            Err(error) => panic!("{error}"),
        };
        let text = std::fs::read_to_string(KALLSYMS).unwrap();
        let mut lines: Vec<_> = text.split_inclusive('\n').filter_map(|line| function(line.as_bytes())).collect();
        lines.sort_by_key(|&(address, _)| address);
        lines.dedup_by_key(|&mut (address, _)| address);
        assert!(Symbols::probe().is_ok());
        let mut found_again = 0;
        for pair in lines.windows(2).step_by(1000) {
            let [(address, name), (next, _)] = pair else { continue };
            if next - address < 2 || next - address > MAX_FUNCTION {
                continue;
            }
            let found = symbols.resolve(next - 1).unwrap();
            let name = str::from_utf8(name).unwrap().split(['.', '\t']).next().unwrap();
            assert_eq!((found.name, found.offset), (name, next - 1 - address));
            found_again += 1;
        }
        assert!(found_again > 10);
    }
}
