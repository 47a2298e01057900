//! whydrop
