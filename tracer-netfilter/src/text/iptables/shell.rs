//! Quotes: those of iptables-save, and those of the shell.
//!
//! Rule: what whydrop tells a user to type does what it says, whatever someone has put into a comment.

/// Options with the quotes of iptables-save, turned into options for a shell. Each has a space in front.
pub(super) fn requote(options: &str) -> String {
    let mut words = Vec::new();
    let mut characters = options.chars().peekable();
    while characters.peek().is_some() {
        let mut value = String::new();
        let mut is_quoted = false;
        let mut has_begun = false;
        while let Some(character) = characters.next() {
            match character {
                '"' => (is_quoted, has_begun) = (!is_quoted, true),
                '\\' if is_quoted => value.extend(characters.next()),
                ' ' if !is_quoted => break,
                _ => {
                    value.push(character);
                    has_begun = true;
                }
            }
        }
        if has_begun {
            words.push(word(&value));
        }
    }
    words.iter().flat_map(|word| [" ", word]).collect()
}

/// One word for a shell.
pub(super) fn word(value: &str) -> String {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"_-+=:,./@%#".contains(&byte);
    // A lone `!` is what iptables negates with, and no shell minds it.
    let is_option = value == "!" || !value.is_empty() && value.bytes().all(is_plain) && !value.starts_with('#');
    if is_option { value.to_owned() } else { format!("'{}'", value.replace('\'', r"'\''")) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Family;
    use crate::xt::Match;

    #[test]
    fn a_comment_can_not_break_out_of_its_quotes() {
        for comment in ["$(reboot)", "a'b", "a\"b", "a\\", "`x` \\\" ' \"", "", "!x", "ns/svc:http", "#1"] {
            let mut data = comment.as_bytes().to_vec();
            data.resize(256, 0);
            let found = Match::decode("comment", 0, Family::Ip, &data).unwrap();
            let options = format!(" {} -j DROP", found.text(Family::Ip));
            let script = format!("printf '%s\\n'{}", requote(&options));
            let output = std::process::Command::new("sh").args(["-c", &script]).output().unwrap();
            let wanted = format!("-m\ncomment\n--comment\n{comment}\n-j\nDROP\n");
            assert_eq!(String::from_utf8(output.stdout).unwrap(), wanted, "{script}");
        }
    }

    #[test]
    fn plain_options_stay_as_they_are() {
        let options = " ! -s 10.0.0.0/8 -i eth+ -m mark --mark 0x1/0xf -m limit --limit 5/min -j a_b-c";
        assert_eq!(requote(options), options);
    }
}
