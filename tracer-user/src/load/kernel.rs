//! The running kernel's own description, read once at the start: offsets, argument positions, reason names.

use std::path::Path;

use tracer_common::{LOCATION_POSITION, REASON_POSITION, RX_SK_POSITION, SKB_POSITION};

use crate::btf::{self, Btf, BtfError, ReasonNames, Resolved};

use super::LoadError;
use super::attach::TRACEPOINT;
use super::cast;

/// Where the kernel describes itself (Linux 5.4, `CONFIG_DEBUG_INFO_BTF`).
const BTF_DIR: &str = "/sys/kernel/btf";

/// What is needed of BTF.
pub struct Kernel {
    pub resolved: Resolved,
    pub reasons: ReasonNames,
    /// What aya wants to load a typed tracepoint; none where the kernel itself has no BTF, only the given file.
    pub(super) tracepoint: Option<aya::Btf>,
    /// Number of [`cast::FUNCTION`], as above.
    pub(super) cast: Option<u32>,
    /// Modules whose reasons could not be read: these stay numbers.
    pub unusable: Vec<BtfError>,
}

impl Kernel {
    /// Reads the BTF in `file`, or the running kernel's.
    ///
    /// # Errors
    /// [`LoadError::Btf`] if there is none, or it lacks what whydrop cannot work without.
    pub fn read(file: Option<&Path>) -> Result<Self, LoadError> {
        let path = file.unwrap_or(Path::new(Btf::KERNEL));
        let btf = Btf::from_kernel(path).map_err(btf::ResolveError::from)?;
        let resolved = btf::resolve(&btf, Path::new(BTF_DIR))?;
        check_positions(&resolved)?;
        let (reasons, unusable) =
            ReasonNames::from_kernel(&btf, Path::new(BTF_DIR)).map_err(btf::ResolveError::from)?;
        let tracepoint = match file {
            None => Some(btf.stand_in(TRACEPOINT).map_err(btf::ResolveError::from)?),
            // The kernel wants its own type numbers, not those of the file.
            Some(_) => Btf::from_kernel(Path::new(Btf::KERNEL)).and_then(|own| own.stand_in(TRACEPOINT)).ok(),
        };
        let cast = if file.is_none() { btf.function(cast::FUNCTION) } else { None };
        Ok(Self { resolved, reasons, tracepoint, cast, unusable })
    }

    /// What this kernel does not tell, a sentence each.
    pub fn gaps(&self) -> Vec<String> {
        let missing = self.resolved.missing.iter().map(ToString::to_string);
        missing.chain(self.unusable.iter().map(ToString::to_string)).collect()
    }
}

/// The programs read the arguments at fixed positions.
fn check_positions(resolved: &Resolved) -> Result<(), LoadError> {
    let arguments = resolved.arguments;
    let is_expected = (arguments.skb, arguments.location) == (SKB_POSITION, LOCATION_POSITION)
        && arguments.reason.is_none_or(|position| position == REASON_POSITION)
        && arguments.rx_sk.is_none_or(|position| position == RX_SK_POSITION);
    if is_expected { Ok(()) } else { Err(LoadError::Arguments(arguments)) }
}
