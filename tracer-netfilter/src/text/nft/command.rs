//! Commands to paste into a shell.
//!
//! Rule: a name is what someone else chose: whatever is in it, the shell takes it as one word of text.

use crate::model::{Chain, Rule, Table};

/// One word of a POSIX shell that stands for `text`.
pub fn sh_word(text: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "_-./:,@%+=".contains(c);
    if !text.is_empty() && text.chars().all(is_plain) {
        text.to_owned()
    } else {
        format!("'{}'", text.replace('\'', r"'\''"))
    }
}

/// A name as nft must see it, as a word of the shell.
fn name(name: &str) -> String {
    sh_word(&super::name(name))
}

/// The command that takes out a rule: `nft delete rule inet t c handle 4`. For a policy (`rule` is `None`, or has no handle)
/// the one that lets pass what no rule decided on: `nft chain inet t c '{ policy accept; }'`.
pub fn delete_command(table: &Table, chain: &Chain, rule: Option<&Rule>) -> String {
    let at = format!("{} {} {}", table.family.as_str(), name(&table.name), name(&chain.name));
    match rule.and_then(|rule| rule.handle) {
        Some(handle) => format!("nft delete rule {at} handle {handle}"),
        None => format!("nft chain {at} '{{ policy accept; }}'"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Backend, Family};

    #[test]
    fn a_name_can_not_break_out_of_its_word() {
        let table = Table::new(Backend::Nft, Family::Inet, "t;reboot");
        let chain = Chain { name: "it's $(x)".into(), handle: None, base: None, rules: vec![] };
        let rule = Rule { number: 1, handle: Some(4), comment: None, counter: None, expressions: vec![] };
        let command = delete_command(&table, &chain, Some(&rule));
        assert_eq!(command, r#"nft delete rule inet '"t;reboot"' '"it'\''s $(x)"' handle 4"#);
        let output =
            std::process::Command::new("sh").arg("-c").arg(command.replacen("nft", "printf '%s|'", 1)).output();
        let words = String::from_utf8(output.unwrap().stdout).unwrap();
        assert_eq!(words, "delete|rule|inet|\"t;reboot\"|\"it's $(x)\"|handle|4|");
    }

    #[test]
    fn a_policy_is_changed() {
        let table = Table::new(Backend::Nft, Family::Ip, "filter");
        let chain = Chain { name: "INPUT".into(), handle: None, base: None, rules: vec![] };
        assert_eq!(delete_command(&table, &chain, None), "nft chain ip filter INPUT '{ policy accept; }'");
    }
}
