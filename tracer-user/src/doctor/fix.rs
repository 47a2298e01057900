//! How to run whydrop so that it may do what it needs.
//!
//! Rule: a fix is a complete command or setting, for the place that whydrop runs in now.

use super::context::{Context, Place};

/// Everything at once, the likeliest first: a root shell on the host, a privileged container, a debug pod.
pub(super) fn privileges(context: &Context) -> Vec<String> {
    let debug = "kubectl debug node/NODE -it --image=IMAGE --profile=sysadmin -- whydrop";
    let docker = "docker run --rm -it --privileged --pid=host --net=host IMAGE whydrop";
    let shell = "use a full root shell: this one was started with fewer capabilities";
    let fix: &[&str] = match context.place {
        Place::Pod => &[debug, "in the pod: hostPID: true, hostNetwork: true, securityContext: {privileged: true}"],
        // An image that was unpacked on to a machine may look like a container.
        Place::Host | Place::Container if context.user != 0 => &["sudo whydrop", docker, debug],
        Place::Host => &[shell, docker, debug],
        Place::Container => &[docker, debug],
    };
    fix.iter().map(|&fix| fix.to_owned()).collect()
}

/// One capability for a container that is to stay unprivileged, or everything at once.
pub(super) fn capability(context: &Context, name: &str) -> Vec<String> {
    let short = name.trim_start_matches("CAP_");
    let mut fix = privileges(context);
    match context.place {
        Place::Host => {}
        Place::Container => fix.push(format!("docker run … --cap-add={short}")),
        Place::Pod => fix.push(format!("in the pod: securityContext: {{capabilities: {{add: [{short}]}}}}")),
    }
    fix
}

/// What lifts the kernel's strictest lockdown.
pub(super) fn lockdown() -> Vec<String> {
    vec!["boot without lockdown=confidentiality (lockdown=integrity is enough for Secure Boot)".to_owned()]
}

/// A kernel that was built with `option`.
pub(super) fn kernel(option: &str) -> Vec<String> {
    vec![format!("boot a kernel built with {option}=y")]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_fix_is_for_the_place() {
        let mut context = Context::bare();
        assert_eq!(privileges(&context)[0], "sudo whydrop");
        context.user = 0;
        assert!(privileges(&context)[0].contains("full root shell"));
        context.place = Place::Container;
        let fix = capability(&context, "CAP_BPF").join("\n");
        assert!(fix.contains("--profile=sysadmin") && fix.contains("--privileged --pid=host --net=host"), "{fix}");
        assert!(fix.contains("--cap-add=BPF"), "{fix}");
        context.place = Place::Pod;
        assert!(capability(&context, "CAP_BPF").join("\n").contains("{add: [BPF]}"));
    }
}
