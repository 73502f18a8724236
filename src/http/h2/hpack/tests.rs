//! RFC 7541's own examples, a second decoder as oracle, and blocks that no encoder made.

use proptest::prelude::*;

use super::encoder::Encoder;
use super::*;

fn hex(text: &str) -> Vec<u8> {
    let digits: Vec<u8> = text.bytes().filter(|byte| !byte.is_ascii_whitespace()).collect();
    digits.chunks(2).map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap()).collect()
}

fn shown(fields: &Fields) -> String {
    let text = |bytes: Option<&[u8]>| bytes.map_or("?".to_owned(), |bytes| String::from_utf8_lossy(bytes).into_owned());
    fields.iter().map(|field| format!("{}: {}\n", text(field.name), text(field.value))).collect()
}

/// Decodes one block after another; each must give these fields and leave this many bytes in the table.
fn check(max: Option<usize>, steps: &[(&str, &str, usize)]) {
    let limits = Limits::default();
    let (mut decoder, mut fields) = (Decoder::new(&limits), Fields::default());
    if let Some(max) = max {
        decoder.table.set_max(max);
    }
    for (block, wanted, size) in steps {
        assert_eq!(decoder.decode(&hex(block), &limits, &mut fields), Ok(()));
        assert_eq!(shown(&fields), wanted.replace("; ", "\n") + "\n");
        assert_eq!(decoder.table_size(), *size);
    }
}

#[test]
fn rfc_7541_c_2_representations() {
    check(None, &[("400a 6375 7374 6f6d 2d6b 6579 0d63 7573 746f 6d2d 6865 6164 6572", "custom-key: custom-header", 55)]);
    check(None, &[("040c 2f73 616d 706c 652f 7061 7468", ":path: /sample/path", 0)]);
    check(None, &[("1008 7061 7373 776f 7264 0673 6563 7265 74", "password: secret", 0)]);
    check(None, &[("82", ":method: GET", 0)]);
}

const ASK: [&str; 3] = [
    ":method: GET; :scheme: http; :path: /; :authority: www.example.com",
    ":method: GET; :scheme: http; :path: /; :authority: www.example.com; cache-control: no-cache",
    ":method: GET; :scheme: https; :path: /index.html; :authority: www.example.com; custom-key: custom-value",
];

#[test]
fn rfc_7541_c_3_requests_without_huffman() {
    check(
        None,
        &[
            ("8286 8441 0f77 7777 2e65 7861 6d70 6c65 2e63 6f6d", ASK[0], 57),
            ("8286 84be 5808 6e6f 2d63 6163 6865", ASK[1], 110),
            ("8287 85bf 400a 6375 7374 6f6d 2d6b 6579 0c63 7573 746f 6d2d 7661 6c75 65", ASK[2], 164),
        ],
    );
}

#[test]
fn rfc_7541_c_4_requests_with_huffman() {
    check(
        None,
        &[
            ("8286 8441 8cf1 e3c2 e5f2 3a6b a0ab 90f4 ff", ASK[0], 57),
            ("8286 84be 5886 a8eb 1064 9cbf", ASK[1], 110),
            ("8287 85bf 4088 25a8 49e9 5ba9 7d7f 8925 a849 e95b b8e8 b4bf", ASK[2], 164),
        ],
    );
}

const DATE: &str = "cache-control: private; date: Mon, 21 Oct 2013 20:13:21 GMT; location: https://www.example.com";
const COOKIE: &str = ":status: 200; cache-control: private; date: Mon, 21 Oct 2013 20:13:22 GMT; location: https://www.example.com; \
                      content-encoding: gzip; set-cookie: foo=ASDJKHQKBZXOQWEOPIUAXQWEOIU\u{3b}_max-age=3600\u{3b}_version=1";

/// The examples' set-cookie holds the separator that these tests use.
fn check_answers(blocks: [&str; 3]) {
    let limits = Limits::default();
    let (mut decoder, mut fields) = (Decoder::new(&limits), Fields::default());
    decoder.table.set_max(256);
    let wanted = [(format!(":status: 302; {DATE}"), 222), (format!(":status: 307; {DATE}"), 222), (COOKIE.to_owned(), 215)];
    for (block, (wanted, size)) in blocks.into_iter().zip(wanted) {
        assert_eq!(decoder.decode(&hex(block), &limits, &mut fields), Ok(()));
        assert_eq!(shown(&fields), wanted.replace("; ", "\n").replace(";_", "; ") + "\n");
        assert_eq!(decoder.table_size(), size, "entries were evicted as the RFC says");
    }
}

#[test]
fn rfc_7541_c_5_responses_without_huffman() {
    check_answers([
        "4803 3330 3258 0770 7269 7661 7465 611d 4d6f 6e2c 2032 3120 4f63 7420 3230 3133 2032 303a 3133 3a32 3120 474d 546e 1768 7474 \
         7073 3a2f 2f77 7777 2e65 7861 6d70 6c65 2e63 6f6d",
        "4803 3330 37c1 c0bf",
        "88c1 611d 4d6f 6e2c 2032 3120 4f63 7420 3230 3133 2032 303a 3133 3a32 3220 474d 54c0 5a04 677a 6970 7738 666f 6f3d 4153 444a \
         4b48 514b 425a 584f 5157 454f 5049 5541 5851 5745 4f49 553b 206d 6178 2d61 6765 3d33 3630 303b 2076 6572 7369 6f6e 3d31",
    ]);
}

#[test]
fn rfc_7541_c_6_responses_with_huffman() {
    check_answers([
        "4882 6402 5885 aec3 771a 4b61 96d0 7abe 9410 54d4 44a8 2005 9504 0b81 66e0 82a6 2d1b ff6e 919d 29ad 1718 63c7 8f0b 97c8 e9ae \
         82ae 43d3",
        "4883 640e ffc1 c0bf",
        "88c1 6196 d07a be94 1054 d444 a820 0595 040b 8166 e084 a62d 1bff c05a 839b d9ab 77ad 94e7 821d d7f2 e6c7 b335 dfdf cd5b 3960 \
         d5af 2708 7f36 72c1 ab27 0fb5 291f 9587 3160 65c0 03ed 4ee5 b106 3d50 07",
    ]);
}

#[test]
fn decoding_goes_on_behind_an_unknown_index() {
    let limits = Limits::default();
    let (mut decoder, mut fields) = (Decoder::new(&limits), Fields::default());
    decoder.forget();
    // Unknown field; unknown name with a value, kept; a known field; the kept one again; a literal, kept; both kept ones again.
    let block = hex("c5 7e01 61 82 be 40 0162 0163 be bf");
    assert_eq!(decoder.decode(&block, &limits, &mut fields), Ok(()));
    assert_eq!(shown(&fields), "?: ?\n?: a\n:method: GET\n?: a\nb: c\nb: c\n?: a\n");
    assert_eq!(fields.unknown, 4);
}

#[test]
fn what_no_encoder_writes_is_refused_and_the_table_forgotten() {
    let limits = Limits::default();
    for bad in ["80", "bf", "3f", "41", "4105 6162", "4182 ffff", "00 0561", "7f ffff ffff ff7f", "ff ffff ffff 0f"] {
        let (mut decoder, mut fields) = (Decoder::new(&limits), Fields::default());
        let block = [hex("82 40 0162 0163"), hex(bad)].concat();
        assert!(decoder.decode(&block, &limits, &mut fields).is_err(), "{bad}");
        assert!(shown(&fields).starts_with(":method: GET\nb: c\n"), "what came before it stands");
        assert_eq!(decoder.decode(&hex("be"), &limits, &mut fields), Ok(()));
        assert_eq!(shown(&fields), "?: ?\n");
    }
}

#[test]
fn a_block_beyond_the_limits_keeps_the_table_right_and_the_memory_small() {
    let limits = Limits { head_bytes: 1000, head_lines: 10, ..Limits::default() };
    let (mut decoder, mut fields) = (Decoder::new(&limits), Fields::default());
    let many = [vec![0x82; 50], hex("40 0162 0163")].concat();
    assert_eq!(decoder.decode(&many, &limits, &mut fields), Ok(()));
    assert_eq!((fields.len(), fields.over), (10, true));
    assert_eq!(decoder.decode(&hex("be"), &limits, &mut fields), Ok(()));
    assert_eq!((shown(&fields).as_str(), fields.over), ("b: c\n", false));
    // One long field, referred to again and again.
    let bomb = [hex("40 0161 7f 8102"), vec![b'x'; 384], vec![0xbe; 60_000]].concat();
    assert_eq!(decoder.decode(&bomb, &limits, &mut fields), Err(Bad::TooMuch));
    assert!(fields.over && fields.bytes.len() <= 1000 && fields.bytes.capacity() < 8192);
}

#[test]
fn an_acknowledged_setting_shrinks_the_table() {
    let limits = Limits::default();
    let (mut decoder, mut fields) = (Decoder::new(&limits), Fields::default());
    decoder.decode(&hex("40 0162 0163 40 0164 0165"), &limits, &mut fields).unwrap();
    decoder.acknowledged(65_536);
    assert_eq!(decoder.table_size(), 68);
    decoder.acknowledged(40);
    assert_eq!(decoder.table_size(), 34);
}

/// One field of a block: name, value, how to write it.
type Diced = (Vec<u8>, Vec<u8>, u8);

fn field() -> impl Strategy<Value = Diced> {
    let name = prop_oneof![
        prop::sample::select(vec![":status", ":path", "content-type", "authorization", "x-mcp-auth", "x-a", ""]).prop_map(Into::into),
        prop::collection::vec(any::<u8>(), 0..40),
    ];
    let value = prop_oneof![
        prop::sample::select(vec!["200", "/", "application/json", "Bearer abc.def", ""]).prop_map(Into::into),
        prop::collection::vec(any::<u8>(), 0..80),
        prop::collection::vec(any::<u8>(), 0..2000),
    ];
    (name, value, any::<u8>())
}

fn block() -> impl Strategy<Value = (Option<usize>, Vec<Diced>)> {
    (prop::option::weighted(0.2, 0usize..=4096), prop::collection::vec(field(), 1..12))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn valid_blocks_decode_as_they_were_encoded_and_as_another_decoder_reads_them(blocks in prop::collection::vec(block(), 1..8)) {
        let limits = Limits { head_bytes: 1 << 20, ..Limits::default() };
        let mut encoder = Encoder::new();
        let (mut ours, mut fields) = (Decoder::new(&limits), Fields::default());
        let mut oracle = loona_hpack::Decoder::new();
        for (resize, wanted) in &blocks {
            let mut bytes = Vec::new();
            if let Some(max) = resize {
                encoder.resize(*max, &mut bytes);
            }
            for (name, value, dice) in wanted {
                encoder.field(name, value, *dice, &mut bytes);
            }
            prop_assert_eq!(ours.decode(&bytes, &limits, &mut fields), Ok(()));
            let got: Vec<_> = fields.iter().map(|one| (one.name.unwrap().to_vec(), one.value.unwrap().to_vec())).collect();
            prop_assert_eq!(&got, &wanted.iter().map(|(name, value, _)| (name.clone(), value.clone())).collect::<Vec<_>>());
            prop_assert_eq!(&got, &oracle.decode(&bytes).unwrap());
        }
    }

    #[test]
    fn after_a_loss_every_field_is_right_or_unknown(blocks in prop::collection::vec(block(), 2..10), lost in 0usize..8) {
        let limits = Limits { head_bytes: 1 << 20, ..Limits::default() };
        let mut encoder = Encoder::new();
        let (mut decoder, mut fields) = (Decoder::new(&limits), Fields::default());
        for (place, (resize, wanted)) in blocks.iter().enumerate() {
            let mut bytes = Vec::new();
            if let Some(max) = resize {
                encoder.resize(*max, &mut bytes);
            }
            for (name, value, dice) in wanted {
                encoder.field(name, value, *dice, &mut bytes);
            }
            if place == lost {
                decoder.forget();
                continue;
            }
            prop_assert_eq!(decoder.decode(&bytes, &limits, &mut fields), Ok(()));
            prop_assert_eq!(fields.len(), wanted.len());
            for (got, (name, value, _)) in fields.iter().zip(wanted) {
                prop_assert!(got.name.is_none_or(|got| got == name.as_slice()));
                prop_assert!(got.value.is_none_or(|got| got == value.as_slice()));
            }
        }
    }
}

#[test]
fn a_million_random_blocks_never_panic() {
    let blocks = 1_000_000;
    let limits = Limits { head_bytes: 2000, head_lines: 20, ..Limits::default() };
    let (mut decoder, mut fields) = (Decoder::new(&limits), Fields::default());
    let mut state = 0x9e37_79b9_7f4a_7c15u64;
    let mut good = 0;
    for count in 0..blocks {
        let mut bytes = [0u8; 48];
        for chunk in bytes.chunks_mut(8) {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            chunk.copy_from_slice(&state.to_le_bytes());
        }
        if count % 1000 == 0 {
            decoder = Decoder::new(&limits);
        }
        let len = (state >> 32) as usize % bytes.len();
        good += u32::from(decoder.decode(&bytes[..len], &limits, &mut fields).is_ok());
        assert!(fields.len() <= 20 && fields.bytes.len() <= 2000 && decoder.table_size() <= limits.h2_table_bytes);
    }
    assert!(good > blocks / 50, "some blocks must get far: {good}");
}
