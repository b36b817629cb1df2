//! Types of the fixture's kernel and of scripts; layouts compared with what a C compiler says.

use super::*;
use crate::artifact::{MapId, Shape};
use crate::fixture::Fixture;
use crate::pass::preamble::{self, Macros};
use crate::types::{I32, I64, U8, U32, U64};
use rbt_grammar::ast::{
    Attributes, CBase, CEnum, CField, CItem, CRecord, Expr, ExprKind, RecordKind, UnaryOp,
};
use rbt_grammar::{Span, Spanned};

fn kernel_struct(table: &TypeTable<'_>, name: &str) -> StructRef {
    match table.tagged(TagKind::Struct, name) {
        Some(Type::Struct(found)) => found,
        other => unreachable!("{name} is {other:?}"),
    }
}

/// `offset type` of a member, with its bits.
fn place(table: &TypeTable<'_>, of: &StructRef, name: &str) -> String {
    match table.find_field(of, name, Space::Kernel) {
        Some(field) => match field.bits {
            Some((first, width)) => format!("{} {} {first}+{width}", field.offset, field.ty),
            None => format!("{} {}", field.offset, field.ty),
        },
        None => String::from("none"),
    }
}

#[test]
fn members_of_kernel_structs_are_found() {
    let fixture = Fixture::new();
    let table = TypeTable::new(&fixture);
    let task = kernel_struct(&table, "task_struct");
    let expected = [
        ("pid", "56 int32"),
        ("comm", "120 string[16]"),
        ("real_parent", "64 struct task_struct *"),
        ("mm", "88 struct mm_struct *"),
        ("counts", "136 int64[4]"),
        ("matrix", "168 uint16[3][2]"),
        ("exit_code", "104 int32"),
        ("exit_cookie", "104 uint64"),
        ("exit_state", "52 int32 0+7"),
        ("in_execve", "52 uint32 7+1"),
        ("in_iowait", "52 uint32 8+1"),
        ("jobctl", "52 uint32 9+20"),
        ("policy", "48 enum sched_policy"),
        ("is_idle", "204 bool"),
        ("fn", "208 void *"),
        ("load", "216 uint8[8]"),
        ("nothing", "none"),
        ("", "none"),
    ];
    for (name, what) in expected {
        assert_eq!(place(&table, &task, name), what, "{name}");
    }
    let child = table.find_field(&task, "set_child_tid", Space::Kernel);
    assert!(matches!(
        child.expect("a member").ty,
        Type::Pointer(_, Space::User)
    ));
    let memory = kernel_struct(&table, "mm_struct");
    assert_eq!(place(&table, &memory, "pgd"), "0 void *");
    let in_user = table.find_field(&memory, "exe_file", Space::User);
    assert!(matches!(
        in_user.expect("a member").ty,
        Type::Pointer(_, Space::User)
    ));
    assert_eq!(
        table.nearest_field(&task, "real_parnet").as_deref(),
        Some("real_parent")
    );
    assert_eq!(
        table.nearest_field(&task, "exitcode").as_deref(),
        Some("exit_code")
    );
    assert_eq!(
        table.nearest_tag(TagKind::Struct, "task_strct").as_deref(),
        Some("struct task_struct")
    );
}

#[test]
fn names_of_types_mean_what_c_says() {
    let fixture = Fixture::new();
    let table = TypeTable::new(&fixture);
    let name = |text| table.named(text, Space::Kernel).map(|ty| ty.to_string());
    for (text, what) in [
        ("unsigned long", "uint64"),
        ("long unsigned int", "uint64"),
        ("long long", "int64"),
        ("short int", "int16"),
        ("unsigned", "uint32"),
        ("char", "uint8"),
        ("signed char", "int8"),
        ("pid_t", "int32"),
        ("size_t", "uint64"),
        ("cycles_t", "uint64"),
        ("atomic_t", "struct {}"),
        ("bool", "bool"),
    ] {
        assert_eq!(name(text).as_deref(), Some(what), "{text}");
    }
    for text in [
        "nope",
        "unsigned signed",
        "long char",
        "long long long",
        "",
        "task_struct",
    ] {
        assert_eq!(name(text), None, "{text}");
    }
    let (ty, value) = table.enumerator("POLICY_NONE").expect("an enumerator");
    assert_eq!((ty.to_string().as_str(), value), ("enum sched_policy", -1));
    let (ty, value) = table.enumerator("WORK_BIT").expect("an enumerator");
    assert_eq!((ty.size(), value), (4, 1 << 31));
}

#[test]
fn tracepoints_have_the_types_of_their_format() {
    let fixture = Fixture::new();
    let table = TypeTable::new(&fixture);
    let arguments = |category: &str, event: &str, space| {
        let format = crate::target::Target::tracepoint_format(&fixture, category, event);
        let format = format.expect("told").expect("an event");
        table.tracepoint_arguments("args", &format, space)
    };
    let open = arguments("syscalls", "sys_enter_openat", Space::User);
    assert_eq!(place(&table, &open, "dfd"), "16 uint64");
    assert_eq!(place(&table, &open, "mode"), "40 uint64");
    assert_eq!(place(&table, &open, "filename"), "24 uint8 *");
    assert_eq!(place(&table, &open, "__syscall_nr"), "8 int32");
    assert_eq!(place(&table, &open, "common_pid"), "none");
    assert!(is_common_field("common_pid"));
    let filename = table.find_field(&open, "filename", Space::Kernel);
    assert!(matches!(
        filename.expect("an argument").ty,
        Type::Pointer(_, Space::User)
    ));
    let format = crate::target::Target::tracepoint_format(&fixture, "sched", "sched_wakeup");
    let format = format.expect("told").expect("an event");
    let declared: Vec<&str> = declarations(&format).collect();
    assert_eq!(
        declared,
        ["char comm[16]", "pid_t pid", "int prio", "int target_cpu"]
    );
    let exit = arguments("syscalls", "sys_exit_openat", Space::User);
    assert_eq!(place(&table, &exit, "ret"), "16 int64");
    let switch = arguments("sched", "sched_switch", Space::Kernel);
    assert_eq!(place(&table, &switch, "prev_comm"), "8 string[16]");
    assert_eq!(place(&table, &switch, "prev_state"), "32 int64");
    assert_eq!(switch.size, 64);
    let enter = arguments("raw_syscalls", "sys_enter", Space::Kernel);
    assert_eq!(place(&table, &enter, "args"), "16 uint64[6]");
    let exec = arguments("sched", "sched_process_exec", Space::Kernel);
    let filename = table.find_field(&exec, "filename", Space::Kernel);
    let filename = filename.expect("an argument");
    assert_eq!((filename.ty, filename.offset), (I64, 8));
    assert_eq!(filename.encoding, crate::types::Encoding::DataLocation);
}

#[test]
fn functions_have_the_arguments_of_their_prototypes() {
    let fixture = Fixture::new();
    let table = TypeTable::new(&fixture);
    let read = table.btf().and_then(|btf| btf.find_function("vfs_read"));
    let read = read.expect("a function");
    let args = table.function_arguments("args", read, Space::Direct);
    let args = args.expect("it has a prototype");
    assert_eq!(place(&table, &args, "file"), "0 struct file *");
    assert_eq!(place(&table, &args, "count"), "16 uint64");
    assert_eq!(args.size, 32);
    let buffer = table.find_field(&args, "buf", Space::Kernel);
    assert!(matches!(
        buffer.expect("an argument").ty,
        Type::Pointer(_, Space::User)
    ));
    assert_eq!(table.function_result(read, Space::Kernel), Some(I64));
    let switch = table.raw_tracepoint_arguments("args", "", "sched_switch", Space::Kernel);
    let switch = switch.expect("it is described");
    assert_eq!(place(&table, &switch, "preempt"), "0 bool");
    assert_eq!(place(&table, &switch, "prev"), "8 struct task_struct *");
    assert_eq!(place(&table, &switch, "prev_state"), "24 uint32");
    assert_eq!(place(&table, &switch, "__data"), "none");
    let none = table.raw_tracepoint_arguments("args", "", "no_such_event", Space::Kernel);
    assert_eq!(none, None);
    let task = table.btf().and_then(|btf| btf.find_struct("task_struct"));
    let task = task.expect("a struct");
    assert_eq!(table.function_arguments("args", task, Space::Kernel), None);
}

#[test]
fn stranger_fields_of_formats_are_understood() {
    let fixture = Fixture::new();
    let table = TypeTable::new(&fixture);
    let format = "format:
\tfield:enum sched_policy how;\toffset:8;\tsize:4;\tsigned:0;
\tfield:struct task_struct * p;\toffset:16;\tsize:8;\tsigned:0;
\tfield:const void * const at;\toffset:24;\tsize:8;\tsigned:0;
\tfield:bool ok;\toffset:32;\tsize:1;\tsigned:0;
\tfield:__u8 mac[6];\toffset:33;\tsize:6;\tsigned:0;
\tfield:__rel_loc char[] text;\toffset:40;\tsize:4;\tsigned:0;
\tfield:kuid_t owner;\toffset:44;\tsize:4;\tsigned:0;
\tfield:struct list_head all;\toffset:48;\tsize:16;\tsigned:0;
\tfield:int (*call)(int);\toffset:64;\tsize:8;\tsigned:0;
\tfield:u32 flags[(2 + 1)];\toffset:72;\tsize:12;\tsigned:0;
\tfield:nonsense
";
    let args = table.tracepoint_arguments("args", format, Space::Kernel);
    for (name, what) in [
        ("how", "8 enum sched_policy"),
        ("p", "16 struct task_struct *"),
        ("at", "24 void *"),
        ("ok", "32 bool"),
        ("mac", "33 uint8[6]"),
        ("text", "40 int64"),
        ("owner", "44 uint32"),
        ("all", "48 struct list_head"),
        ("flags", "72 uint32[3]"),
    ] {
        assert_eq!(place(&table, &args, name), what, "{name}");
    }
}

fn name(text: &str) -> Spanned<String> {
    Spanned::new(text.to_owned(), Span::default())
}

fn int(n: u64) -> Expr {
    Expr::new(ExprKind::Int(n), Span::default())
}

fn member(ty: &str, text: &str) -> CField {
    let base = match ty.split_once(' ') {
        Some(("struct", tag)) => CBase::Tagged(TagKind::Struct, name(tag)),
        Some(("enum", tag)) => CBase::Tagged(TagKind::Enum, name(tag)),
        _ => CBase::Named(name(ty)),
    };
    CField {
        name: (!text.is_empty()).then(|| name(text)),
        base,
        pointers: 0,
        dimensions: Vec::new(),
        is_function_pointer: false,
        bits: None,
        attributes: Attributes::default(),
        span: Span::default(),
    }
}

fn bits(ty: &str, text: &str, width: u64) -> CField {
    CField {
        bits: Some(int(width)),
        ..member(ty, text)
    }
}

fn array(ty: &str, text: &str, lengths: &[u64]) -> CField {
    CField {
        dimensions: lengths.iter().map(|n| int(*n)).collect(),
        ..member(ty, text)
    }
}

fn pointer(ty: &str, text: &str) -> CField {
    CField {
        pointers: 1,
        ..member(ty, text)
    }
}

fn record(kind: RecordKind, tag: &str, fields: Vec<CField>) -> CRecord {
    CRecord {
        kind,
        name: (!tag.is_empty()).then(|| name(tag)),
        fields,
        attributes: Attributes::default(),
        span: Span::default(),
    }
}

fn structure(tag: &str, fields: Vec<CField>) -> CItem {
    CItem::Record(record(RecordKind::Struct, tag, fields))
}

fn defined<'t>(fixture: &'t Fixture, items: &[CItem]) -> (TypeTable<'t>, Vec<String>) {
    let (preamble, _) = preamble::run(items, fixture);
    let mut table = TypeTable::new(fixture);
    let diagnostics = table.define(&preamble.items, &preamble.macros);
    let messages = diagnostics.into_iter().map(|d| d.message).collect();
    (table, messages)
}

/// Offsets and sizes are those that gcc and clang give the same text on x86-64.
#[test]
fn scripts_are_laid_out_as_c_lays_them_out() {
    let fixture = Fixture::new();
    let inner = record(
        RecordKind::Union,
        "",
        vec![member("short", "half"), member("int", "whole")],
    );
    let mut packed = record(
        RecordKind::Struct,
        "P",
        vec![
            member("char", "a"),
            member("long", "b"),
            bits("int", "c", 5),
            bits("int", "d", 30),
            bits("long", "e", 60),
        ],
    );
    packed.attributes.is_packed = true;
    let items = [
        structure(
            "A",
            vec![
                member("char", "a"),
                member("int", "b"),
                member("char", "c"),
                pointer("struct A", "next"),
                array("char", "text", &[5]),
                CField {
                    base: CBase::Record(Box::new(inner)),
                    ..member("", "")
                },
                array("short", "grid", &[2, 3]),
                member("char", "last"),
            ],
        ),
        structure(
            "B",
            vec![
                bits("int", "a", 3),
                bits("int", "b", 30),
                bits("char", "c", 4),
                bits("char", "d", 5),
                bits("int", "", 0),
                bits("unsigned int", "e", 1),
                member("char", "f"),
                bits("long", "g", 40),
                bits("unsigned short", "h", 16),
            ],
        ),
        CItem::Record(packed),
        structure("C", vec![member("struct A", "a"), member("char", "b")]),
        structure("list_head", vec![member("int", "mine")]),
    ];
    let (table, messages) = defined(&fixture, &items);
    assert_eq!(messages, [""; 0]);
    let check = |tag: &str, size: u32, places: &[(&str, &str)]| {
        let of = kernel_struct(&table, tag);
        assert_eq!(of.size, size, "struct {tag}");
        for (name, what) in places {
            assert_eq!(place(&table, &of, name), *what, "{tag}.{name}");
        }
    };
    check(
        "A",
        56,
        &[
            ("b", "4 int32"),
            ("c", "8 int8"),
            ("next", "16 struct A *"),
            ("text", "24 string[5]"),
            ("half", "32 int16"),
            ("whole", "32 int32"),
            ("grid", "36 int16[3][2]"),
            ("last", "48 int8"),
        ],
    );
    check(
        "B",
        24,
        &[
            ("a", "0 int32 0+3"),
            ("b", "4 int32 0+30"),
            ("c", "8 int8 0+4"),
            ("d", "9 int8 0+5"),
            ("e", "12 uint32 0+1"),
            ("f", "13 int8"),
            ("g", "16 int64 0+40"),
            ("h", "22 uint16"),
        ],
    );
    check(
        "P",
        21,
        &[
            ("b", "1 int64"),
            ("c", "8 int32 8+5"),
            ("d", "8 int64 13+30"),
            ("e", "13 int64 3+60"),
        ],
    );
    check("C", 64, &[("b", "56 int8")]);
    check("list_head", 4, &[("mine", "0 int32")]);
}

#[test]
fn constants_and_enums_of_scripts() {
    let fixture = Fixture::new();
    let sum = |text: &str| Expr::new(ExprKind::Identifier(text.to_owned()), Span::default());
    let items = [
        CItem::Directive(name("#define LEN (4 * 2)")),
        CItem::Enum(CEnum {
            name: Some(name("colour")),
            variants: vec![
                (name("RED"), None),
                (
                    name("BLUE"),
                    Some(Expr::new(
                        ExprKind::Unary {
                            op: UnaryOp::Negate,
                            operand: Box::new(int(5)),
                        },
                        Span::default(),
                    )),
                ),
                (name("PINK"), None),
            ],
            span: Span::default(),
        }),
        CItem::Typedef {
            name: name("name_t"),
            field: CField {
                dimensions: vec![sum("LEN")],
                ..member("char", "name_t")
            },
        },
        structure(
            "S",
            vec![
                member("name_t", "a"),
                CField {
                    dimensions: vec![sum("TASK_COMM_LEN")],
                    ..member("char", "b")
                },
                member("enum colour", "c"),
            ],
        ),
    ];
    let (table, messages) = defined(&fixture, &items);
    assert_eq!(messages, [""; 0]);
    let of = kernel_struct(&table, "S");
    assert_eq!(of.size, 28);
    assert_eq!(place(&table, &of, "a"), "0 string[8]");
    assert_eq!(place(&table, &of, "b"), "8 string[16]");
    assert_eq!(place(&table, &of, "c"), "24 enum colour");
    let values = ["RED", "BLUE", "PINK"].map(|n| table.enumerator(n).map(|(_, v)| v));
    assert_eq!(values, [Some(0), Some(-5), Some(-4)]);
}

#[test]
fn definitions_without_a_layout_are_said() {
    let fixture = Fixture::new();
    let items = [
        structure("S", vec![member("nope_t", "a")]),
        structure("T", vec![member("struct T", "own")]),
        structure(
            "U",
            vec![bits("char", "a", 9), pointer("struct nope", "fine")],
        ),
        structure("V", vec![array("int", "a", &[1 << 33])]),
        structure("W", vec![member("int", "a"), member("int", "a")]),
        structure(
            "X",
            vec![array("int", "a", &[1 << 20, 1 << 30]), member("int", "b")],
        ),
        structure("Z", vec![array("int", "a", &[1 << 22]), member("int", "b")]),
        structure("Y", vec![member("int", "a")]),
        structure("Y", vec![member("int", "a")]),
    ];
    let (table, messages) = defined(&fixture, &items);
    assert_eq!(
        messages,
        [
            "a member needs a complete type",
            "a member needs a complete type",
            "this bit-field has no place",
            "an array needs a length",
            "member 'a' is defined twice",
            "this member is too large",
            "this struct is too large",
            "'Y' is defined twice",
        ]
    );
    assert!(table.tagged(TagKind::Struct, "S").is_none());
    assert!(table.tagged(TagKind::Struct, "Y").is_some());
}

#[test]
fn shapes_hold_everything_that_printing_needs() {
    let fixture = Fixture::new();
    let table = TypeTable::new(&fixture);
    let shape = |ty: &Type| table.shape(ty, &|_| MapId(9));
    let memory = shape(&Type::Struct(kernel_struct(&table, "mm_struct")));
    let Shape::Struct(fields) = &memory else {
        unreachable!("{memory:?}");
    };
    let names: Vec<(&str, u32)> = fields.iter().map(|f| (f.name.as_str(), f.offset)).collect();
    assert_eq!(
        names,
        [
            ("", 0),
            ("total_vm", 16),
            ("arg_start", 24),
            ("exe_file", 32),
            ("start_stack", 40)
        ]
    );
    assert_eq!(fields.last().map(|f| &f.shape), Some(&Shape::Pointer));
    let tuple = Type::Tuple([U8, U64, Type::Str(3), I32, U32].into());
    let Shape::Tuple(parts) = shape(&tuple) else {
        unreachable!("not a tuple");
    };
    let offsets: Vec<u32> = parts.iter().map(|(offset, _)| *offset).collect();
    assert_eq!(offsets, [0, 8, 16, 20, 24]);
    let task = Type::Struct(kernel_struct(&table, "task_struct"));
    assert_eq!(shape(&task).size(), 232);
}

#[test]
fn structs_that_hold_themselves_end() {
    use crate::btf::{BtfBuilder, MemberSpec, TypeId};
    let mut b = BtfBuilder::new();
    let own = TypeId(1);
    let members = [
        MemberSpec::new("", own, 0),
        MemberSpec::new("", own, 8),
        MemberSpec::new("x", own, 16),
    ];
    b.structure("loop", 24, &members);
    let array = b.array(TypeId(4), 2);
    b.structure("array", 24, &[MemberSpec::new("a", array, 0)]);
    let btf = crate::btf::Btf::new(Box::new(b.finish())).expect("BTF");
    let fixture = Fixture::with_btf(btf);
    let table = TypeTable::new(&fixture);
    let own = kernel_struct(&table, "loop");
    assert!(table.find_field(&own, "nothing", Space::Kernel).is_none());
    assert!(!table.field_names(&own).is_empty());
    table.shape(&Type::Struct(own), &|_| MapId(0));
    let looped = kernel_struct(&table, "array");
    table.fields(&looped, Space::Kernel);
    let items = [structure(
        "S",
        vec![member("struct loop", "a"), member("struct array", "b")],
    )];
    let mut table = TypeTable::new(&fixture);
    table.define(&items, &Macros::default());
}
