# Builds kube-apiserver, kubelet, kube-proxy and kube-controller-manager from Debian's source package; $1: where to work, $2: the mirror.
# Debian's Go modules are vendored in it. One of them (reflect2 1.0.1) crashes with Go 1.18 and newer when policies are encoded, so
# Debian's own package of it takes its place.
set -euo pipefail
work=$1 mirror=$2 suite=bookworm
rm -rf "$work"
mkdir -p "$work"/apt/lists/partial "$work"/apt/cache/archives/partial "$work"/home
cd "$work"
cat > apt/debian.sources <<SOURCES
Types: deb deb-src
URIs: $mirror
Suites: $suite
Components: main
Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg
SOURCES
cat > apt/apt.conf <<CONFIGURATION
Dir::State::lists "$work/apt/lists";
Dir::Cache "$work/apt/cache";
Dir::Etc::sourcelist "$work/apt/debian.sources";
Dir::Etc::sourceparts "/dev/null";
APT::Sandbox::User "root";
CONFIGURATION
export APT_CONFIG=$work/apt/apt.conf
apt-get -qq update
apt-get -qq source --download-only kubernetes
apt-get -qq download golang-github-modern-go-reflect2-dev
dpkg-source --no-check -x kubernetes_*.dsc source > /dev/null
dpkg-deb -x golang-github-modern-go-reflect2-dev_*.deb reflect2
vendored=source/vendor/github.com/modern-go/reflect2
rm -f $vendored/*.go $vendored/*.s
cp reflect2/usr/share/gocode/src/github.com/modern-go/reflect2/*.{go,s} $vendored/
rm -f $vendored/*_test.go
cd source
mkdir -p .go/src/k8s.io
ln -sfn ../../.. .go/src/k8s.io/kubernetes
export GOPATH=$PWD/.go HOME=$work/home GOCACHE=$work/home/cache PATH=/usr/lib/go-1.19/bin:$PATH CGO_ENABLED=0 GOPROXY=off GOFLAGS=
version=$(dpkg-parsechangelog -S Version)
version=${version%%-*}
version=${version%%+*}
minor=${version#*.}
export KUBE_GIT_VERSION=v$version KUBE_GIT_MAJOR=${version%%.*} KUBE_GIT_MINOR=${minor%%.*}
export KUBE_GIT_TREE_STATE=archive KUBE_GIT_COMMIT=unknown
make GOLDFLAGS="-s -w" WHAT="cmd/kube-apiserver cmd/kubelet cmd/kube-proxy cmd/kube-controller-manager"
