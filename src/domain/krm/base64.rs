//! Standard base64 (RFC 4648 section 4), as Secrets use it.

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// Encodes with padding.
#[must_use]
pub fn encode(bytes: &[u8]) -> String {
    let mut out = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for chunk in bytes.chunks(3) {
        let word = (0..3).fold(0_u32, |word, i| word << 8 | u32::from(chunk.get(i).copied().unwrap_or_default()));
        for digit in 0..4 {
            let index = (word >> (18 - 6 * digit)) & 63;
            let letter = if digit <= chunk.len() { char::from(ALPHABET[index as usize]) } else { '=' };
            out.push(letter);
        }
    }
    out
}

/// Decodes padded text; line breaks are skipped, as Go does. `None` when it is not base64.
#[must_use]
pub fn decode(text: &str) -> Option<Vec<u8>> {
    let letters: Vec<u8> = text.bytes().filter(|b| !matches!(b, b'\r' | b'\n')).collect();
    let padding = letters.iter().rev().take_while(|b| **b == b'=').count();
    if !letters.len().is_multiple_of(4) || padding > 2 {
        return None;
    }
    let mut out = Vec::with_capacity(letters.len() / 4 * 3);
    for chunk in letters[..letters.len() - padding].chunks(4) {
        let word = chunk.iter().try_fold(0_u32, |word, letter| {
            let digit = ALPHABET.iter().position(|known| known == letter)?;
            Some(word << 6 | u32::try_from(digit).ok()?)
        })?;
        let word = word << (6 * (4 - chunk.len()));
        out.extend(word.to_be_bytes().into_iter().skip(1).take(chunk.len() * 6 / 8));
    }
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn rfc_4648_vectors() {
        let table =
            [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foob", "Zm9vYg=="), ("foobar", "Zm9vYmFy")];
        for (plain, coded) in table {
            assert_eq!(encode(plain.as_bytes()), coded);
            assert_eq!(decode(coded).unwrap(), plain.as_bytes());
        }
        for broken in ["Z", "Zg=", "Zg===", "Z=g=", "Zm 8", "====", "Zm9v!"] {
            assert_eq!(decode(broken), None, "{broken}");
        }
    }

    proptest! {
        #[test]
        fn round_trip(bytes: Vec<u8>) {
            prop_assert_eq!(decode(&encode(&bytes)).unwrap(), bytes);
        }
    }
}
