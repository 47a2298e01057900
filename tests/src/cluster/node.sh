# A Kubernetes node of one machine: etcd, kube-apiserver, kube-controller-manager, containerd, kubelet and kube-proxy.
#
# Runs in a mount namespace of its own, whose /var/lib and /run/containerd are empty, and ends with its standard input: whatever
# becomes of the test, nothing is left.
# $1: the network namespace of the node, with the device eth0 and the address 10.0.0.1; $2: an empty directory; $3: the programs.
set -u
netns=$1 work=$2 programs=$3
node="nsenter --net=/run/netns/$netns"
started=()
cd "$work"

start() {
    local name=$1
    shift
    $node "$@" > "$name.log" 2>&1 < /dev/null &
    started+=($!)
}

# Waits for at most a minute and a half.
until_so() {
    for _ in $(seq 900); do
        "$@" > /dev/null 2>&1 && return
        sleep 0.1
    done
    echo "not ready: $*"
    tail -n 5 ./*.log
    exit 1
}

end() {
    trap '' TERM INT HUP
    # The kubelet first: it would start what is ended.
    for ((i = ${#started[@]} - 1; i >= 0; i--)); do
        [ $i -eq 0 ] && remove_pods
        kill "${started[$i]}" 2> /dev/null
        for _ in $(seq 50); do kill -0 "${started[$i]}" 2> /dev/null || break; sleep 0.1; done
        kill -9 "${started[$i]}" 2> /dev/null
    done
    for controller in $(find /sys/fs/cgroup -maxdepth 3 -type d -name "$cgroup"); do
        find "$controller" -depth -type d -exec rmdir {} \; 2> /dev/null
    done
    # The runtime's own parent of containers, unless it was there before; one that is in use stays.
    [ -n "$had_parent" ] || find /sys/fs/cgroup -maxdepth 2 -type d -name k8s.io -exec rmdir {} + 2> /dev/null
}

remove_pods() {
    tasks="ctr --address $work/containerd.sock --namespace k8s.io tasks"
    $tasks ls -q 2> /dev/null | xargs -r -n 1 $tasks kill --signal SIGKILL 2> /dev/null
    for _ in $(seq 50); do $tasks ls 2> /dev/null | grep -q RUNNING || break; sleep 0.1; done
    $tasks ls -q 2> /dev/null | xargs -r -n 1 $tasks delete --force > /dev/null 2>&1
}

trap end EXIT
cgroup=whydrop-$netns
had_parent=$(find /sys/fs/cgroup -maxdepth 2 -type d -name k8s.io)

for directory in /var/lib /run/containerd /var/log/pods /var/log/containers /opt; do
    mkdir -p $directory
    mount -t tmpfs tmpfs $directory
done
mkdir -p cni image/root/bin image/root/tmp /var/lib/kubelet

# An image with nothing but busybox; the pause container sleeps, too.
busybox=$(command -v busybox)
cp "$busybox" image/root/bin/busybox
for applet in $(busybox --list); do [ "$applet" = busybox ] || ln -s busybox "image/root/bin/$applet"; done
tar --owner=0 --group=0 -C image/root -cf image/layer.tar .
layer=$(sha256sum image/layer.tar | cut -d ' ' -f 1)
cat > image/config.json <<JSON
{"architecture": "amd64", "os": "linux", "config": {"Env": ["PATH=/bin"], "Entrypoint": ["/bin/sleep", "infinity"]},
 "rootfs": {"type": "layers", "diff_ids": ["sha256:$layer"]}, "history": [{"created_by": "lab"}]}
JSON
echo '[{"Config": "config.json", "RepoTags": ["localhost/pause:1", "localhost/tools:1"], "Layers": ["layer.tar"]}]' > image/manifest.json
tar -C image -cf image.tar config.json manifest.json layer.tar

cat > containerd.toml <<TOML
version = 2
root = "$work/root"
state = "$work/state"
[grpc]
  address = "$work/containerd.sock"
[plugins."io.containerd.internal.v1.opt"]
  path = "$work/opt"
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "localhost/pause:1"
  restrict_oom_score_adj = true
  disable_hugetlb_controller = true
  netns_mounts_under_state_dir = true
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "/usr/lib/cni"
    conf_dir = "$work/cni"
TOML
cat > cni/10-lab.conflist <<JSON
{"cniVersion": "0.4.0", "name": "lab", "plugins": [
  {"type": "bridge", "bridge": "cni0", "isGateway": true, "ipMasq": true, "hairpinMode": true,
   "ipam": {"type": "host-local", "dataDir": "$work/ipam", "routes": [{"dst": "0.0.0.0/0"}, {"dst": "::/0"}],
            "ranges": [[{"subnet": "10.244.1.0/24"}], [{"subnet": "fd00:10:244:1::/64"}]]}},
  {"type": "portmap", "capabilities": {"portMappings": true}}]}
JSON
start containerd containerd --config containerd.toml
until_so ctr --address "$work/containerd.sock" version
ctr --address "$work/containerd.sock" --namespace k8s.io images import image.tar > /dev/null || exit 1

openssl genrsa -out accounts.key 2048 2> /dev/null
# No CA: rustls takes no CA's certificate for a server's own.
cat > tls.cnf <<CNF
[req]
distinguished_name = name
x509_extensions = server
prompt = no
[name]
CN = localhost
[server]
basicConstraints = critical, CA:FALSE
subjectAltName = DNS:localhost, IP:127.0.0.1, IP:10.0.0.1, IP:10.96.0.1
CNF
openssl req -x509 -newkey rsa:2048 -nodes -config tls.cnf -keyout tls.key -out tls.crt -days 30 2> /dev/null
printf 'admintoken,admin,1,"system:masters"\nreadertoken,reader,2\n' > tokens.csv
start etcd etcd --data-dir "$work/etcd" --listen-client-urls http://127.0.0.1:12379 --advertise-client-urls http://127.0.0.1:12379 \
    --listen-peer-urls http://127.0.0.1:12380 --unsafe-no-fsync
start apiserver "$programs/kube-apiserver" --etcd-servers=http://127.0.0.1:12379 --advertise-address=10.0.0.1 --bind-address=0.0.0.0 \
    --secure-port=16443 --tls-cert-file=tls.crt --tls-private-key-file=tls.key --service-account-key-file=accounts.key \
    --service-account-signing-key-file=accounts.key --service-account-issuer=https://localhost:16443 \
    --service-cluster-ip-range=10.96.0.0/16 --token-auth-file=tokens.csv --authorization-mode=RBAC --cert-dir="$work/certs" \
    --allow-privileged=true --disable-admission-plugins=ServiceAccount --kubelet-preferred-address-types=InternalIP
for user in admin reader; do
    cat > "$user.kubeconfig" <<YAML
apiVersion: v1
kind: Config
clusters: [{name: lab, cluster: {server: "https://10.0.0.1:16443", certificate-authority: $work/tls.crt}}]
users: [{name: $user, user: {token: ${user}token}}]
contexts: [{name: lab, context: {cluster: lab, user: $user}}]
current-context: lab
YAML
done
ask() { $node curl --silent --fail --max-time 2 --cacert tls.crt --header 'Authorization: Bearer admintoken' "https://10.0.0.1:16443$1"; }
until_so ask /readyz
cat > kubelet.yaml <<YAML
apiVersion: kubelet.config.k8s.io/v1beta1
kind: KubeletConfiguration
authentication: {anonymous: {enabled: true}, webhook: {enabled: false}}
authorization: {mode: AlwaysAllow}
cgroupDriver: cgroupfs
cgroupRoot: /
cgroupsPerQOS: false
enforceNodeAllocatable: []
failSwapOn: false
address: 0.0.0.0
healthzBindAddress: 127.0.0.1
evictionHard: {memory.available: "10Mi", nodefs.available: "0%", imagefs.available: "0%", nodefs.inodesFree: "0%"}
YAML
start controllers "$programs/kube-controller-manager" --kubeconfig=admin.kubeconfig --service-account-private-key-file=accounts.key \
    --allocate-node-cidrs=false --leader-elect=false --cert-dir="$work/controllers"
start proxy "$programs/kube-proxy" --kubeconfig=admin.kubeconfig --proxy-mode=iptables --cluster-cidr=10.244.0.0/16 \
    --hostname-override=node1 --conntrack-max-per-core=0 --conntrack-tcp-timeout-established=0 \
    --conntrack-tcp-timeout-close-wait=0 --healthz-bind-address=127.0.0.1:10256 --metrics-bind-address=127.0.0.1:10249
start kubelet "$programs/kubelet" --config=kubelet.yaml --kubeconfig=admin.kubeconfig --hostname-override=node1 --node-ip=10.0.0.1 \
    --root-dir="$work/kubelet" --cert-dir="$work/kubelet/pki" --container-runtime=remote \
    --container-runtime-endpoint="unix://$work/containerd.sock" --image-service-endpoint="unix://$work/containerd.sock"
is_ready() { ask /api/v1/nodes/node1 | tr -d ' \n' | grep -o '"type":"Ready","status":"[A-Za-z]*"' | grep -q True; }
until_so is_ready
echo ready
# Until whoever started it closes the pipe, or ends.
cat > /dev/null
