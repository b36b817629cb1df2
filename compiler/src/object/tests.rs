//! Objects given to aya-obj, which must find in them what went in.

use super::*;
use crate::artifact::{Globals, MapKind, MapRole, MapSchema, ProgramPlan, Variable, When};
use crate::backend::Relocation as CodeRelocation;
use aya_obj::{Object as Parsed, ProgramSection};
use rbt_grammar::Span;

fn insn(code: u8, dst: u8, src: u8, off: i16, imm: i32) -> Insn {
    Insn {
        code,
        dst,
        src,
        off,
        imm,
    }
}

fn load(dst: u8) -> [Insn; 2] {
    [insn(LD_IMM64, dst, 0, 0, 0), Insn::default()]
}

const EXIT: Insn = Insn {
    code: 0x95,
    dst: 0,
    src: 0,
    off: 0,
    imm: 0,
};

fn relocation(insn: u32, target: RelocationTarget) -> CodeRelocation {
    CodeRelocation { insn, target }
}

fn plan(symbol: &str, kind: ProgramKind, span: Span) -> ProgramPlan {
    ProgramPlan {
        symbol: symbol.to_owned(),
        section: section_name(kind, symbol),
        kind,
        provider: String::from("test"),
        when: When::Attached,
        attachments: Vec::new(),
        site_patches: Vec::new(),
        span,
    }
}

fn map(symbol: &str, kind: MapKind, key_size: u32, value_size: u32, max_entries: u32) -> MapSchema {
    MapSchema {
        name: symbol.to_owned(),
        symbol: symbol.to_owned(),
        storage: Storage::Map {
            kind,
            key_size,
            value_size,
            max_entries,
            flags: u32::from(kind == MapKind::Hash),
        },
        role: MapRole::Scratch,
        is_kept: false,
        span: Span::default(),
    }
}

const SCRIPT: &str = "BEGIN { @a = 1 }\ninterval:s:1 { f() }\n";

type Programs = Vec<(usize, Vec<Code>)>;

/// Two programs; the first stores in a map and in two globals, the second calls a function and
/// takes another's address.
fn example() -> (Manifest, Programs, SourceMap) {
    let mut sources = SourceMap::new();
    let id = sources.add("test.bt", SCRIPT);
    let span = |start, end| Span::new(id, start, end);
    let global = MapSchema {
        storage: Storage::Global { variable: 0 },
        ..map("in_bss", MapKind::Array, 0, 0, 0)
    };
    let manifest = Manifest {
        maps: vec![
            map("events", MapKind::RingBuffer, 0, 0, 4096),
            global,
            map("AT_a", MapKind::Hash, 8, 16, 4096),
        ],
        globals: Globals {
            size: 24,
            variables: vec![
                Variable {
                    symbol: String::from("AT_x"),
                    offset: 8,
                    size: 16,
                },
                Variable {
                    symbol: String::from("lost"),
                    offset: 0,
                    size: 8,
                },
            ],
            ..Globals::default()
        },
        programs: vec![
            plan("begin", ProgramKind::RawTracepoint, span(0, 16)),
            plan("interval_s_1", ProgramKind::PerfEvent, span(17, 37)),
        ],
        ..Manifest::default()
    };

    let mut insns = Vec::from(load(1));
    insns.extend(load(2));
    insns.extend(load(3));
    insns.push(insn(0xb7, 0, 0, 0, 0));
    insns.push(EXIT);
    let mut spans = vec![span(8, 14); insns.len()];
    spans[6] = span(0, 0);
    spans[7] = span(0, 16);
    let begin = Code {
        name: String::from("begin"),
        insns,
        relocations: vec![
            relocation(0, RelocationTarget::Map(MapId(2))),
            relocation(2, RelocationTarget::Global(8)),
            relocation(4, RelocationTarget::Map(MapId(0))),
        ],
        spans,
        ..Code::default()
    };

    let mut insns = vec![insn(0xb7, 1, 0, 0, 1), insn(CALL, 0, 0, 0, 0)];
    insns.extend(load(2));
    insns.extend([
        insn(0xb7, 1, 0, 0, 4),
        insn(0xb7, 3, 0, 0, 0),
        insn(0xb7, 4, 0, 0, 0),
        insn(CALL, 0, 0, 0, 181),
        insn(0xb7, 0, 0, 0, 0),
        EXIT,
    ]);
    let interval = Code {
        name: String::from("interval_s_1"),
        spans: vec![span(32, 35); insns.len()],
        insns,
        relocations: vec![
            relocation(1, RelocationTarget::Call(1)),
            relocation(2, RelocationTarget::FunctionAddress(2)),
        ],
        ..Code::default()
    };
    let small = |name: &str| Code {
        name: name.to_owned(),
        insns: vec![insn(0xb7, 0, 0, 0, 0), EXIT],
        spans: vec![span(32, 33), span(33, 34)],
        ..Code::default()
    };
    let programs = vec![
        (0, vec![begin]),
        (1, vec![interval, small("callee"), small("callback")]),
    ];
    (manifest, programs, sources)
}

fn example_bytes() -> Vec<u8> {
    let (manifest, programs, sources) = example();
    write(&manifest, &programs, &sources).expect("an object")
}

#[test]
fn the_same_input_gives_the_same_bytes() {
    assert_eq!(example_bytes(), example_bytes());
}

#[test]
fn aya_finds_programs_functions_and_maps() {
    let object = Parsed::parse(&example_bytes()).expect("aya-obj takes it");
    assert_eq!(object.license.to_bytes(), b"GPL");
    let begin = object.programs.get("begin").expect("a program");
    assert!(matches!(begin.section, ProgramSection::RawTracePoint));
    let interval = object.programs.get("interval_s_1").expect("a program");
    assert!(matches!(interval.section, ProgramSection::PerfEvent));
    let mut names: Vec<&str> = object.functions.values().map(|f| f.name.as_str()).collect();
    names.sort_unstable();
    assert_eq!(names, ["begin", "callback", "callee", "interval_s_1"]);

    let mut maps: Vec<&str> = object.maps.keys().map(String::as_str).collect();
    maps.sort_unstable();
    assert_eq!(maps, [".bss", "AT_a", "events"]);
    let hash = object.maps.get("AT_a").expect("a map");
    assert_eq!(hash.map_type(), MapKind::Hash as u32);
    assert_eq!((hash.key_size(), hash.value_size()), (8, 16));
    assert_eq!(hash.max_entries(), 4096);
    assert_eq!(hash.map_flags(), 1);
    let ring = object.maps.get("events").expect("a map");
    assert_eq!(ring.map_type(), MapKind::RingBuffer as u32);
    assert_eq!((ring.key_size(), ring.value_size()), (0, 0));
    let bss = object.maps.get(".bss").expect("a map");
    assert_eq!(bss.value_size(), 24);
}

#[test]
fn every_function_has_its_type_and_its_lines() {
    let object = Parsed::parse(&example_bytes()).expect("aya-obj takes it");
    let lines = |name: &str| -> Vec<(u32, u32, u32)> {
        let function = object.functions.values().find(|f| f.name == name);
        let function = function.expect("a function");
        assert_eq!(function.func_info.func_info.len(), 1, "{name}");
        let lines = function.line_info.line_info.iter();
        lines
            .map(|l| (l.insn_off, l.line_col >> 10, l.line_col & 0x3ff))
            .collect()
    };
    // Instruction 6 is of no source and counts to the one before.
    assert_eq!(lines("begin"), [(0, 1, 9), (7, 1, 1)]);
    assert_eq!(lines("interval_s_1"), [(0, 2, 16)]);
    // In `.text` offsets count from the section's start until functions are linked.
    assert_eq!(lines("callback"), [(2, 2, 16), (3, 2, 17)]);
}

#[test]
fn relocations_lead_where_they_should() {
    let mut object = Parsed::parse(&example_bytes()).expect("aya-obj takes it");
    let text: HashSet<usize> = object
        .functions
        .keys()
        .map(|(section, _)| *section)
        .collect();
    let text = text.into_iter().collect();
    let maps: Vec<_> = object.maps.drain().collect();
    let fd = |name: &str| match name {
        "AT_a" => 10,
        "events" => 11,
        _ => 12,
    };
    let given = maps
        .iter()
        .map(|(name, map)| (name.as_str(), fd(name), map));
    object.relocate_maps(given, &text).expect("maps");
    object.relocate_calls(&text).expect("calls");
    let program = |name: &str| {
        let key = object.programs.get(name).expect("a program").function_key();
        object.functions.get(&key).expect("its function").clone()
    };
    let begin = program("begin").instructions;
    let constant = |at: usize| (begin[at].src_reg(), begin[at].imm, begin[at + 1].imm);
    assert_eq!(constant(0), (1, 10, 0));
    assert_eq!(constant(2), (2, 12, 8));
    assert_eq!(constant(4), (1, 11, 0));

    let interval = program("interval_s_1");
    // Ten instructions of its own, then the callee and the callback with two each.
    assert_eq!(interval.instructions.len(), 14);
    let call = interval.instructions[1];
    assert_eq!((call.src_reg(), call.imm), (1, 8));
    let callback = interval.instructions[2];
    assert_eq!((callback.src_reg(), callback.imm), (4, 9));
    assert_eq!(interval.func_info.func_info.len(), 3);
    let offsets: Vec<u32> = interval
        .line_info
        .line_info
        .iter()
        .map(|l| l.insn_off)
        .collect();
    assert_eq!(offsets, [0, 10, 11, 12, 13]);
}

#[test]
fn its_types_are_read_back() {
    use ::object::read::elf::ElfFile64;
    use ::object::{Object as _, ObjectSection as _};
    let bytes = example_bytes();
    let file: ElfFile64<'_> = ElfFile64::parse(&*bytes).expect("an ELF");
    let section = file.section_by_name(".BTF").expect("types");
    let data = section.data().expect("bytes").to_vec();
    let btf = crate::btf::Btf::new(Box::new(data)).expect("BTF");
    let variables: Vec<String> = btf
        .ids()
        .filter_map(|id| match btf.get(id)? {
            crate::btf::BtfType::Section { name, size } => {
                let variables = btf.section_variables(id).map(|(ty, offset, size)| {
                    let name = match btf.get(ty) {
                        Some(crate::btf::BtfType::Variable { name, .. }) => name,
                        _ => "?",
                    };
                    assert_eq!(btf.size_of(ty), Some(size));
                    format!("{name}@{offset}+{size}")
                });
                Some(format!(
                    "{name}:{size} {}",
                    variables.collect::<Vec<_>>().join(" ")
                ))
            }
            _ => None,
        })
        .collect();
    assert_eq!(
        variables,
        [
            ".maps:56 events@0+16 AT_a@16+40",
            ".bss:24 lost@0+8 AT_x@8+16"
        ]
    );
    for name in ["begin", "interval_s_1", "callee", "callback"] {
        assert!(btf.find_function(name).is_some(), "{name}");
    }
}

#[test]
fn broken_promises_are_told() {
    let broken = |change: &dyn Fn(&mut Manifest, &mut Programs)| {
        let (mut manifest, mut programs, sources) = example();
        change(&mut manifest, &mut programs);
        write(&manifest, &programs, &sources).err()
    };
    let symbol = |name: &str| Some(ObjectError::Symbol(name.to_owned()));
    assert_eq!(
        broken(&|m, _| m.maps[0].symbol = String::from("begin")),
        symbol("begin")
    );
    assert_eq!(
        broken(&|m, _| m.maps[0].symbol = String::from("1st")),
        symbol("1st")
    );
    assert_eq!(
        broken(&|_, p| p[0].0 = 9),
        Some(ObjectError::Missing(String::from("program 9")))
    );
    assert_eq!(
        broken(&|m, _| m.globals.size = 0),
        Some(ObjectError::Missing(String::from("the data section")))
    );
    assert_eq!(
        broken(&|m, _| m.maps.truncate(1)),
        Some(ObjectError::Missing(String::from("map 2")))
    );
    let wrong = |function: &str, insn| {
        Some(ObjectError::Relocation {
            function: function.to_owned(),
            insn,
        })
    };
    assert_eq!(
        broken(&|_, p| p[0].1[0].relocations[0].insn = 6),
        wrong("begin", 6)
    );
    assert_eq!(
        broken(&|_, p| p[1].1[0].relocations[0].target = RelocationTarget::Call(3)),
        wrong("interval_s_1", 1)
    );
    assert_eq!(
        broken(&|_, p| p[1].1[2].insns.clear()),
        Some(ObjectError::Empty(String::from("callback")))
    );
}
