//! A counter of a network card.

use super::{Beside, remedies};
use crate::counter::{Device, Rise};
use crate::event::{Confidence, Explanation};

/// Alike counters that are told.
const MOST_TOLD: usize = 8;

pub(super) fn explanation(rise: &Rise, device: &Device, beside: &Beside<'_>) -> Explanation {
    let Device { name, card, .. } = device;
    let mut explanation = Explanation::new(card.cause(), Confidence::Certain, format!("{name} {}", card.says));
    explanation.evidence.push(super::rose(rise, beside));
    if let Some(driver) = &device.driver {
        explanation.evidence.push(format!("the driver of {name} is {driver}"));
    }
    let alike = device.alike.iter().take(MOST_TOLD);
    explanation.evidence.extend(alike.map(|(other, delta)| format!("{other} of {name} rose by {delta} as well")));
    explanation.remedy = remedies(card.remedy, Some(name), beside);
    explanation
}

#[cfg(test)]
mod tests {
    use super::super::tests::{POD, rise};
    use super::*;
    use crate::counter::{What, table};
    use crate::event::Cause;

    #[test]
    fn a_card_is_named_with_its_driver_and_what_rose_with_it() {
        let device = Device {
            index: 2,
            name: "eth0;reboot".into(),
            driver: Some("ixgbe".into()),
            card: table::card("rx_missed_errors").unwrap(),
            alike: vec![("rx_no_dma_resources".into(), 2)],
        };
        let said = super::super::explain(&rise("rx_missed_errors", What::Device(device)), &POD);
        assert!(said.summary.starts_with("eth0;reboot had no free receive buffer"), "{}", said.summary);
        assert_eq!(said.evidence[0], "rx_missed_errors rose from 3 to 5");
        assert_eq!(said.evidence[2], "rx_no_dma_resources of eth0;reboot rose by 2 as well");
        assert_eq!(said.remedy[1], "nsenter --net=/run/netns/pod ethtool -G 'eth0;reboot' rx 4096");
        assert_eq!((said.cause, said.confidence), (Cause::Device, Confidence::Certain));
    }

    #[test]
    fn an_xdp_program_is_no_device() {
        let card = table::card("rx_xdp_drops").unwrap();
        let device = Device { index: 2, name: "eth0".into(), driver: None, card, alike: Vec::new() };
        assert_eq!(super::super::explain(&rise("rx_xdp_drops", What::Device(device)), &POD).cause, Cause::BpfProgram);
    }
}
