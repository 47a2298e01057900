//! From the embedded object to running kernel programs.
//!
//! Rule: try, then explain. The preferred hook is tried first; a fallback carries the reason for not having the better
//! one. Everything is attached before the switch is flipped (by [`crate::source`]), and all of it goes when
//! [`Programs`] is dropped or the process dies.

mod attach;
mod cast;
mod error;
mod kernel;
#[cfg(feature = "kernel-log")]
mod log;
mod object;
mod size;

use std::collections::BTreeMap;

use aya::Ebpf;
use aya::maps::{Map, MapData, RingBuf};
use tracer_common::{ABSENT, BY_SUBNET, FilterKey, Settings};

pub use attach::{Attached, Hook};
pub use error::LoadError;
pub use kernel::Kernel;
pub use object::embedded;
pub use size::Sizes;

use crate::btf;
use crate::settings::KernelFilter;

/// What the programs shall do, decided before the load.
#[derive(Clone, Debug)]
pub struct Plan {
    pub filter: KernelFilter,
    /// An event for each drop (`--every`).
    pub every: bool,
    /// Room for what the tc programs keep, which are attached to nothing yet.
    pub flows: bool,
    pub sizes: Sizes,
}

/// The loaded and attached programs and their maps.
pub struct Programs {
    pub attached: Attached,
    pub maps: Maps,
    /// Kernel memory that the maps take.
    pub map_bytes: u64,
    /// Maps of the tc programs, if they were asked for.
    pub flows: Option<FlowMaps>,
    /// Owns the programs and what is not taken out below; closing it unloads what is attached to nothing.
    pub object: Ebpf,
}

/// What the tc programs and the `retransmit` program keep.
pub struct FlowMaps {
    pub attempts: MapData,
    pub queries: MapData,
    pub retransmits: MapData,
    pub state: MapData,
    pub ports: MapData,
}

/// The maps, by the names that the kernel side gives them.
pub struct Maps {
    pub control: MapData,
    pub cpu_state: MapData,
    pub flows_even: MapData,
    pub flows_odd: MapData,
    pub other_flows: MapData,
    pub filter: MapData,
    pub events: RingBuf<MapData>,
}

/// Loads `object`, attaches it and leaves it switched off. Call it before there are other threads (see
/// [`btf::bare_loader`]).
///
/// # Errors
/// [`LoadError`] says what is missing and how to get it; nothing stays attached.
pub fn load(object: &[u8], kernel: &Kernel, plan: &Plan) -> Result<Programs, LoadError> {
    object::check(object)?;
    let mut loader = btf::bare_loader();
    raise_memlock();
    let with_calls = kernel.cast.filter(|_| plan.flows).and_then(|function| cast::with_calls(object, function));
    let mut globals = globals(kernel, plan);
    globals.insert(Settings::CAST_CONTEXT, u32::from(with_calls.is_some()));
    for (name, value) in &globals {
        loader.override_global(name, value, true);
    }
    for (map, entries) in plan.sizes.entries(&plan.filter) {
        loader.map_max_entries(map, entries);
    }
    let mut object = loader.load(with_calls.as_deref().unwrap_or(object)).map_err(LoadError::of_object)?;
    fill_filters(&mut object, &plan.filter)?;
    let attached = attach::attach(&mut object, kernel)?;
    #[cfg(feature = "kernel-log")]
    log::start(&mut object);
    let maps = Maps {
        control: take(&mut object, "CONTROL")?,
        cpu_state: take(&mut object, "CPU_STATE")?,
        flows_even: take(&mut object, "FLOWS_EVEN")?,
        flows_odd: take(&mut object, "FLOWS_ODD")?,
        other_flows: take(&mut object, "OTHER_FLOWS")?,
        filter: take(&mut object, "FILTER")?,
        events: RingBuf::try_from(take_map(&mut object, "EVENTS")?)
            .map_err(|error| LoadError::Map { map: "EVENTS", error })?,
    };
    let flows = if plan.flows { Some(flow_maps(&mut object)?) } else { None };
    give_back_memory();
    Ok(Programs { attached, maps, map_bytes: plan.sizes.bytes(), flows, object })
}

/// Gives what the start took and freed back to the kernel: the allocator would keep some 20 MB for later.
fn give_back_memory() {
    #[cfg(target_env = "gnu")]
    // SAFETY: touches no live allocation.
    unsafe {
        libc::malloc_trim(0);
    }
}

/// Kernels before 5.11 count map memory against the limit of locked memory. Refused without CAP_SYS_RESOURCE, and not
/// needed since: a map that does not fit then says so itself.
fn raise_memlock() {
    let limit = libc::rlimit { rlim_cur: libc::RLIM_INFINITY, rlim_max: libc::RLIM_INFINITY };
    // SAFETY: reads a complete `rlimit`.
    if unsafe { libc::setrlimit(libc::RLIMIT_MEMLOCK, &raw const limit) } != 0 {
        tracing::debug!("locked memory stays limited: {}", std::io::Error::last_os_error());
    }
}

/// Every read-only global with its value.
fn globals(kernel: &Kernel, plan: &Plan) -> BTreeMap<&'static str, u32> {
    let mut globals: BTreeMap<&'static str, u32> = kernel.resolved.offsets.iter().copied().collect();
    let arguments = kernel.resolved.arguments;
    globals.insert(Settings::ARG_REASON, arguments.reason.unwrap_or(ABSENT));
    globals.insert(Settings::ARG_RX_SK, arguments.rx_sk.unwrap_or(ABSENT));
    globals.insert(Settings::EVERY, u32::from(plan.every));
    globals.insert(Settings::EVENT_BUDGET, if plan.every { u32::MAX } else { plan.sizes.event_budget });
    globals.insert(Settings::STACK_BUDGET, plan.sizes.stack_budget);
    globals.insert(Settings::WAKE_AT, plan.sizes.ring_bytes / 8);
    globals.insert(Settings::FILTERS, plan.filter.dimensions());
    globals
}

fn fill_filters(object: &mut Ebpf, filter: &KernelFilter) -> Result<(), LoadError> {
    if filter.dimensions() & !(1 << BY_SUBNET) != 0 {
        let map = object.map_mut("FILTER").ok_or(LoadError::NoMap("FILTER"))?;
        let failed = |error| LoadError::Map { map: "FILTER", error };
        let mut map: aya::maps::HashMap<_, [u8; size_of::<FilterKey>()], u8> = map.try_into().map_err(failed)?;
        for key in filter.keys() {
            map.insert(key, 1, 0).map_err(failed)?;
        }
    }
    let map = object.map_mut("SUBNETS").ok_or(LoadError::NoMap("SUBNETS"))?;
    let failed = |error| LoadError::Map { map: "SUBNETS", error };
    let mut map: aya::maps::lpm_trie::LpmTrie<_, [u8; 16], u8> = map.try_into().map_err(failed)?;
    for subnet in filter.subnets() {
        map.insert(&aya::maps::lpm_trie::Key::new(subnet.prefix, subnet.address), 1, 0).map_err(failed)?;
    }
    Ok(())
}

fn flow_maps(object: &mut Ebpf) -> Result<FlowMaps, LoadError> {
    Ok(FlowMaps {
        attempts: take(object, "ATTEMPTS")?,
        queries: take(object, "QUERIES")?,
        retransmits: take(object, "RETRANSMITS")?,
        state: take(object, "ATTEMPT_STATE")?,
        ports: take(object, "PORTS")?,
    })
}

fn take_map(object: &mut Ebpf, name: &'static str) -> Result<Map, LoadError> {
    object.take_map(name).ok_or(LoadError::NoMap(name))
}

fn take(object: &mut Ebpf, name: &'static str) -> Result<MapData, LoadError> {
    match take_map(object, name)? {
        Map::Array(data)
        | Map::PerCpuArray(data)
        | Map::HashMap(data)
        | Map::PerCpuHashMap(data)
        | Map::LruHashMap(data) => Ok(data),
        _ => Err(LoadError::NoMap(name)),
    }
}
