#!/usr/bin/busybox sh
# The first program of the virtual machine: runs each test of the lab by itself and tells of it on the second serial port.
# What it says there is read by transcript.rs.

export HOME=/root PATH=/usr/sbin:/usr/bin:/usr/local/bin RUST_BACKTRACE=0
/usr/bin/busybox --install -s /usr/local/bin

mount -t proc none /proc
mount -t sysfs none /sys
mount -t devtmpfs none /dev
mkdir -p /dev/pts && mount -t devpts none /dev/pts
mount -t tmpfs none /run
mount -t tracefs none /sys/kernel/tracing
mount -t bpf none /sys/fs/bpf
mount -t cgroup2 none /sys/fs/cgroup
ln -s /proc/self/fd /dev/fd
ip link set lo up
# Nothing asks the kernel for these by name.
modprobe -a tun br_netfilter

exec 3>/dev/ttyS1
stty -F /dev/ttyS1 raw -echo
say() { echo "$*" >&3; }

say "up $(uname -r)"

# How much work the program is for the verifier, whose limit is a million instructions.
whydrop watch -o json >/run/header 2>/dev/null &
waited=0
until [ -s /run/header ] || [ "$waited" = 300 ]; do
    sleep 0.1
    waited=$((waited + 1))
done
say "note instructions verified: $(sed -n 's/^verified_insns:[[:space:]]*//p' /proc/$!/fdinfo/* | sort -n | tail -n 1)"
kill $! 2>/dev/null
wait $!

export WHYDROP_BINARY=/usr/bin/whydrop WHYDROP_LAB_DEADLINE=60

# Tells one test; what it printed is in /run/output.
attempt() {
    timeout -s KILL "$TEST_LIMIT" "$1" --exact "$2" --nocapture --test-threads=1 >/run/output 2>&1
}

# Whether a scenario, as program/test, has one of the parts that were asked for in its name.
wanted() {
    [ -z "$TEST_FILTER" ] && return 0
    for part in $(echo "$TEST_FILTER" | tr , ' '); do
        case $1 in *"$part"*) return 0 ;; esac
    done
    return 1
}

for program in /lab/*; do
    for test in $("$program" --list --format terse | sed -n 's/: test$//p'); do
        wanted "${program##*/}/$test" || continue
        say "test ${program##*/} $test"
        attempt "$program" "$test"
        status=$?
        if [ $status != 0 ]; then
            # The emulator stretches time, which a test may not foresee; that it took two attempts is told.
            first=$(sed -n 's/.*\(Error: \|panicked at \)/\1/p' /run/output | head -n 1 | cut -c -300)
            attempt "$program" "$test"
            status=$?
            [ $status = 0 ] && say "because test: right at the second attempt only, at the first $first"
        fi
        if [ $status = 0 ]; then
            sed -n 's/^\(skipped\|degraded\) /because /p' /run/output >&3
        else
            grep -v -e '^$' -e '^failures:' -e '^running 1 test' /run/output | tail -n 40 | cut -c -2000 | sed 's/^/text /' >&3
        fi
        say "end $status"
    done
done
say done
poweroff -f
