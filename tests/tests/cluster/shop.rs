//! What all scenarios look at: the namespace `shop` with two pods and two Services, and the binary in the node's namespace.
//!
//! Rule: the binary runs inside the node's namespace, for only there is the API server; pods are entered by their processes.

use std::net::SocketAddr;
use std::process::{Command, Output};

use anyhow::{Context, Result};
use serde_json::{Value, json};
use tracer_tests::cluster::Cluster;
use tracer_tests::{Tracer, eventually, tracer};

/// What web-0 serves.
pub(crate) const OPEN: u16 = 8080;

/// A pod of the cluster.
#[derive(Debug)]
pub(crate) struct Pod {
    pub(crate) address: String,
    pub(crate) uid: String,
    process: u32,
}

impl Pod {
    /// Whether a TCP connection from here comes about.
    pub(crate) fn connects(&self, to: &str, port: u16) -> Result<bool> {
        let to: SocketAddr = format!("{to}:{port}").parse()?;
        let script = format!("exec 3<> /dev/tcp/{}/{}", to.ip(), to.port());
        let mut command = Command::new("nsenter");
        command.args(["--target", &self.process.to_string(), "--net", "timeout", "1", "bash", "-c", &script]);
        Ok(command.output()?.status.success())
    }
}

/// The objects of the scenarios.
#[derive(Debug)]
pub(crate) struct Shop<'a> {
    pub(crate) cluster: &'a Cluster,
    pub(crate) web: Pod,
    pub(crate) client: Pod,
    /// The address of the Service without endpoints.
    pub(crate) empty: String,
    /// The address of the Service of web-0.
    pub(crate) service: String,
}

impl<'a> Shop<'a> {
    pub(crate) fn open(cluster: &'a Cluster) -> Result<Self> {
        let api = cluster.api();
        api.create("/api/v1/namespaces", &json!({"metadata": {"name": "shop"}}))?;
        for (name, app) in [("web-0", "web"), ("client", "other")] {
            api.create("/api/v1/namespaces/shop/pods", &pod(name, app))?;
        }
        let service = |name: &str, app: &str| -> Result<String> {
            let spec = json!({"selector": {"app": app}, "ports": [{"port": 80, "targetPort": OPEN}]});
            let made =
                api.create("/api/v1/namespaces/shop/services", &json!({"metadata": {"name": name}, "spec": spec}))?;
            Ok(made["spec"]["clusterIP"].as_str().context("no address")?.to_owned())
        };
        let (address, empty) = (service("web", "web")?, service("empty", "nobody")?);
        let shop = Self {
            cluster,
            web: running(cluster, "web-0")?,
            client: running(cluster, "client")?,
            empty,
            service: address,
        };
        eventually("kube-proxy serves web", || shop.client.connects(&shop.service, 80))?;
        Ok(shop)
    }

    /// `whydrop watch -o json` of what has to do with the client's address, with more arguments.
    pub(crate) fn watch(&self, more: &[&str]) -> Result<Tracer> {
        let mut arguments = vec!["watch", "-o", "json", "--all", "--every", "--host", &self.client.address];
        arguments.extend(more);
        self.start(&arguments)
    }

    /// A command that prints lines of JSON, ready.
    pub(crate) fn start(&self, arguments: &[&str]) -> Result<Tracer> {
        self.cluster.node.run(|| Tracer::spawn(&mut tracer::command(arguments)?))
    }

    /// A command that ends by itself.
    pub(crate) fn ask(&self, arguments: &[&str]) -> Result<Output> {
        self.cluster.node.run(|| Ok(tracer::command(arguments)?.output()?))
    }

    /// `--cri` and `--kubeconfig` of this user.
    pub(crate) fn sources(&self, user: &str) -> [String; 4] {
        let [cri, config] = [self.cluster.cri(), self.cluster.kubeconfig(user)].map(|path| path.display().to_string());
        ["--cri".to_owned(), cri, "--kubeconfig".to_owned(), config]
    }
}

fn pod(name: &str, app: &str) -> Value {
    json!({
        "metadata": {"name": name, "labels": {"app": app}},
        "spec": {
            "nodeName": "node1", "automountServiceAccountToken": false, "terminationGracePeriodSeconds": 0,
            "tolerations": [{"operator": "Exists"}],
            "containers": [{
                "name": "httpd", "image": "localhost/tools:1", "imagePullPolicy": "Never",
                "command": ["/bin/httpd", "-f", "-p", OPEN.to_string(), "-h", "/tmp"]
            }]
        }
    })
}

fn running(cluster: &Cluster, name: &str) -> Result<Pod> {
    let address = cluster.api().running("shop", name)?;
    let found = cluster.api().get(&format!("/api/v1/namespaces/shop/pods/{name}"))?;
    let uid = found["metadata"]["uid"].as_str().context("a pod without uid")?.to_owned();
    let runtime = format!("ctr --address {} --namespace k8s.io", cluster.cri().display());
    let container = found["status"]["containerStatuses"][0]["containerID"].as_str().context("no container")?;
    let id = container.trim_start_matches("containerd://");
    let process = cluster.node.exec(&format!("{runtime} tasks ls | awk '$1 == \"{id}\" {{ print $2 }}'"))?;
    Ok(Pod { address, uid, process: process.trim().parse().context("no process of the pod")? })
}

/// As slices, for a command line.
pub(crate) fn words(owned: &[String]) -> Vec<&str> {
    owned.iter().map(String::as_str).collect()
}
