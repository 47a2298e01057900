//! `whydrop policy`: what the policies say about connections that were not seen: from the cluster, or from files.
