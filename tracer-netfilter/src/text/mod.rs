//! Rules as the user would find them in the listing of the tool that made them.

pub mod nft;
