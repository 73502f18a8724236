//! Secrets come in, keys go out: HKDF-Expand-Label of TLS 1.3 and the pseudorandom function of TLS 1.2. Knows no records.

use hkdf::Hkdf;
use hmac::{Hmac, KeyInit, Mac};
use sha2::{Sha256, Sha384};
use zeroize::Zeroize;

use super::suite::Hash;

/// HKDF-Expand-Label with an empty context (RFC 8446, section 7.1). `None` where the secret does not fit the hash.
pub(super) fn expand_label(hash: Hash, secret: &[u8], label: &str, out: &mut [u8]) -> Option<()> {
    let len = u16::try_from(out.len()).ok()?.to_be_bytes();
    let label_len = [u8::try_from(label.len().checked_add(6)?).ok()?];
    let info: [&[u8]; 5] = [&len, &label_len, b"tls13 ", label.as_bytes(), &[0]];
    if secret.len() != hash.size() {
        return None;
    }
    match hash {
        Hash::Sha256 => Hkdf::<Sha256>::from_prk(secret).ok()?.expand_multi_info(&info, out).ok(),
        Hash::Sha384 => Hkdf::<Sha384>::from_prk(secret).ok()?.expand_multi_info(&info, out).ok(),
        Hash::Sha1 => None,
    }
}

/// The pseudorandom function of TLS 1.2 (RFC 5246, section 5), with the seed in two parts.
pub(super) fn prf(hash: Hash, secret: &[u8], label: &str, seed: [&[u8]; 2], out: &mut [u8]) -> Option<()> {
    match hash {
        Hash::Sha256 => p_hash::<Hmac<Sha256>>(secret, label, seed, out),
        Hash::Sha384 => p_hash::<Hmac<Sha384>>(secret, label, seed, out),
        Hash::Sha1 => None,
    }
}

fn p_hash<M: Mac + KeyInit>(secret: &[u8], label: &str, seed: [&[u8]; 2], out: &mut [u8]) -> Option<()> {
    let mac = |parts: &[&[u8]]| {
        let mut mac = <M as KeyInit>::new_from_slice(secret).ok()?;
        parts.iter().for_each(|part| mac.update(part));
        Some(mac.finalize().into_bytes())
    };
    let [first, second] = seed;
    let mut a = mac(&[label.as_bytes(), first, second])?;
    for chunk in out.chunks_mut(a.len().max(1)) {
        let mut block = mac(&[&a, label.as_bytes(), first, second])?;
        for (to, from) in chunk.iter_mut().zip(&block) {
            *to = *from;
        }
        block.as_mut_slice().zeroize();
        a = mac(&[&a])?;
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hex(text: &str) -> Vec<u8> {
        (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap()).collect()
    }

    /// RFC 8448, section 3: the server's handshake traffic secret and its write key and iv.
    #[test]
    fn expand_label_as_in_rfc_8448() {
        let secret = hex("b67b7d690cc16c4e75e54213cb2d37b4e9c912bcded9105d42befd59d391ad38");
        let (mut key, mut iv) = ([0; 16], [0; 12]);
        expand_label(Hash::Sha256, &secret, "key", &mut key).unwrap();
        expand_label(Hash::Sha256, &secret, "iv", &mut iv).unwrap();
        assert_eq!(key.to_vec(), hex("3fce516009c21727d0f2e4e86ee403bc"));
        assert_eq!(iv.to_vec(), hex("5d313eb2671276ee13000b30"));
        assert_eq!(expand_label(Hash::Sha384, &secret, "key", &mut key), None);
    }

    /// The widely used test vector of the TLS 1.2 PRF with SHA-256.
    #[test]
    fn prf_as_in_the_published_vector() {
        let secret = hex("9bbe436ba940f017b17652849a71db35");
        let seed = hex("a0ba9f936cda311827a6f796ffd5198c");
        let mut out = [0; 100];
        prf(Hash::Sha256, &secret, "test label", [&seed, &[]], &mut out).unwrap();
        assert_eq!(out[..16].to_vec(), hex("e3f229ba727be17b8d122620557cd453"));
        assert_eq!(out[84..].to_vec(), hex("4a6b301791e90d35c9c9a46b4e14baf9af0fa022f7077def17abfd3797c0564bab4fbc91666e9def9b97fce34f796789baa48082d122ee42c5a72e5a5110fff70187347b66")[53..].to_vec());
    }
}
