//! BTF written by the builder and read back, and BTF that is broken.

use super::*;

fn read(bytes: Vec<u8>) -> Btf {
    Btf::new(Box::new(bytes)).expect("a good header")
}

#[test]
fn what_the_builder_writes_is_read_back() {
    let mut b = BtfBuilder::new();
    let int = b.int("int", 4, IntEncoding::Signed);
    let node = b.reserve();
    let to_node = b.pointer(node);
    let constant = b.constant(int);
    let alias = b.typedef("number_t", constant);
    b.structure_at(
        node,
        "node",
        16,
        &[
            MemberSpec::new("next", to_node, 0),
            MemberSpec::bits("low", int, 64, 3),
            MemberSpec::bits("high", int, 67, 29),
            MemberSpec::new("value", alias, 12),
        ],
    );
    let colour = b.enumeration("colour", 4, &[("RED", -1), ("BLUE", 7)]);
    let wide = b.enumeration("wide", 8, &[("HUGE", 1 << 40)]);
    let proto = b.prototype(int, &[("n", to_node), ("", TypeId::VOID)]);
    let function = b.function("walk", proto, Linkage::Global);
    let array = b.array(alias, 5);
    let btf = read(b.finish());

    assert_eq!(btf.find_struct("node"), Some(node));
    assert_eq!(btf.find_union("node"), None);
    assert_eq!(btf.find_function("walk"), Some(function));
    assert_eq!(btf.find_typedef("number_t"), Some(alias));
    assert_eq!(btf.resolve(alias), int);
    assert_eq!(btf.size_of(array), Some(20));
    let members: Vec<_> = btf
        .members(node)
        .map(|m| (m.name, m.bit_offset, m.bit_width))
        .collect();
    let expected = [
        ("next", 0, None),
        ("low", 64, Some(3)),
        ("high", 67, Some(29)),
        ("value", 96, None),
    ];
    assert_eq!(members, expected);
    assert_eq!(
        btf.enumerators(colour).collect::<Vec<_>>(),
        [("RED", -1), ("BLUE", 7)]
    );
    assert_eq!(btf.enumerator("BLUE"), Some((colour, 7)));
    assert_eq!(btf.enumerator("HUGE"), Some((wide, 1 << 40)));
    assert_eq!(btf.enumerator("BLU"), None);
    assert_eq!(
        btf.parameters(function).collect::<Vec<_>>(),
        [("n", to_node), ("", TypeId::VOID)]
    );
    assert_eq!(btf.result(function), Some(int));
    assert_eq!(btf.nearest_struct("nodes"), Some("node"));
}

#[test]
fn names_of_every_length_are_found() {
    let names: Vec<String> = (1..40).map(|n| "x".repeat(n)).collect();
    let mut b = BtfBuilder::new();
    let ids: Vec<TypeId> = names.iter().map(|n| b.forward_typedef(n)).collect();
    let btf = read(b.finish());
    for (name, id) in names.iter().zip(ids) {
        assert_eq!(btf.find_typedef(name), Some(id), "{name}");
    }
}

#[test]
fn answers_do_not_depend_on_the_questions_before() {
    let mut b = BtfBuilder::new();
    let first = b.structure("same", 4, &[]);
    let union = b.union("same", 4, &[]);
    b.structure("same", 8, &[]);
    let early = b.enumeration("early", 4, &[("A", 1)]);
    let late = b.enumeration("late", 4, &[("B", 2), ("A", 3)]);
    let pointer = b.pointer(late);
    let bytes = b.finish();
    let questions: [&dyn Fn(&Btf); 6] = [
        &|btf| assert_eq!(btf.find_struct("same"), Some(first)),
        &|btf| assert_eq!(btf.find_union("same"), Some(union)),
        &|btf| assert_eq!(btf.enumerator("A"), Some((early, 1))),
        &|btf| assert_eq!(btf.enumerator("B"), Some((late, 2))),
        &|btf| assert_eq!(btf.get(pointer), Some(BtfType::Pointer(late))),
        &|btf| assert_eq!(btf.find_struct("none"), None),
    ];
    for one in questions {
        for other in questions {
            let btf = read(bytes.clone());
            one(&btf);
            other(&btf);
            one(&btf);
            assert_eq!(btf.len(), 7);
        }
    }
}

impl BtfBuilder {
    fn forward_typedef(&mut self, name: &str) -> TypeId {
        self.typedef(name, TypeId::VOID)
    }
}

#[test]
fn chains_without_end_are_given_up() {
    let mut b = BtfBuilder::new();
    b.typedef("a", TypeId(2));
    b.typedef("b", TypeId(1));
    let own = b.array(TypeId(4), 3);
    let held = b.reserve();
    let twice = [MemberSpec::new("a", held, 0), MemberSpec::new("b", held, 0)];
    b.structure_at(held, "", 8, &twice);
    let called = TypeId(held.0 + 2);
    let pointer = b.pointer(called);
    b.prototype(pointer, &[("", pointer), ("", pointer)]);
    let btf = read(b.finish());
    assert!(btf.definition(held).is_some());
    assert!(!btf.declaration(called, "f").is_empty());
    assert_eq!(btf.resolve(TypeId(1)), TypeId::VOID);
    assert!(!btf.has_tag(TypeId(1), "user"));
    assert_eq!(btf.size_of(own), None);
}

#[test]
fn broken_bytes_are_survived() {
    let mut b = BtfBuilder::new();
    let int = b.int("int", 4, IntEncoding::Signed);
    b.structure(
        "pair",
        8,
        &[
            MemberSpec::new("first", int, 0),
            MemberSpec::new("x", int, 4),
        ],
    );
    b.enumeration("e", 4, &[("A", 1)]);
    let good = b.finish();
    assert_eq!(Btf::new(Box::new(vec![0; 64])).err(), Some(BtfError::Magic));
    for length in 0..good.len() {
        let short = good.get(..length).expect("shorter").to_vec();
        assert_eq!(Btf::new(Box::new(short)).err(), Some(BtfError::Truncated));
    }
    // Every byte in turn set to values that break counts, kinds, offsets and references.
    for at in 0..good.len() {
        for value in [0, 1, 0x13, 0x7f, 0xff] {
            let mut bytes = good.clone();
            *bytes.get_mut(at).expect("inside") = value;
            let Ok(btf) = Btf::new(Box::new(bytes)) else {
                continue;
            };
            for id in btf.ids().chain([TypeId(u32::MAX)]) {
                btf.get(id);
                btf.resolve(id);
                btf.size_of(id);
                btf.definition(id);
                btf.declaration(id, "x");
                assert!(btf.members(id).count() <= good.len());
                assert!(btf.enumerators(id).count() <= good.len());
                assert!(btf.parameters(id).count() <= good.len());
            }
            btf.find_struct("pair");
            btf.enumerator("A");
        }
    }
}

#[test]
fn types_are_written_as_c() {
    let mut b = BtfBuilder::new();
    let int = b.int("int", 4, IntEncoding::Signed);
    let char = b.int("char", 1, IntEncoding::Unsigned);
    let constant = b.constant(char);
    let text = b.pointer(constant);
    let fixed = b.constant(text);
    let name = b.array(char, 16);
    let names = b.array(text, 4);
    let fixed_name = b.array(constant, 8);
    let fixed_name = b.constant(fixed_name);
    let empty = b.structure("", 0, &[]);
    let to_name = b.pointer(name);
    let node = b.forward("node");
    let to_node = b.pointer(node);
    let proto = b.prototype(int, &[("", to_node), ("", TypeId::VOID)]);
    let call = b.pointer(proto);
    let maker = b.prototype(to_node, &[]);
    let make = b.pointer(maker);
    let calls = b.array(call, 2);
    let inner = b.union(
        "",
        4,
        &[
            MemberSpec::new("whole", int, 0),
            MemberSpec::bits("part", int, 0, 3),
        ],
    );
    let outer = b.structure(
        "outer",
        16,
        &[
            MemberSpec::new("", inner, 0),
            MemberSpec::new("make", make, 8),
        ],
    );
    let colour = b.enumeration("colour", 4, &[("RED", -1), ("BLUE", 7)]);
    let btf = read(b.finish());
    for (ty, expected) in [
        (int, "int x"),
        (text, "const char *x"),
        (fixed, "const char * const x"),
        (name, "char x[16]"),
        (names, "const char *x[4]"),
        (to_name, "char (*x)[16]"),
        (fixed_name, "const char x[8]"),
        (empty, "struct {} x"),
        (to_node, "struct node *x"),
        (call, "int (*x)(struct node *, ...)"),
        (make, "struct node * (*x)(void)"),
        (calls, "int (*x[2])(struct node *, ...)"),
        (colour, "enum colour x"),
        (TypeId::VOID, "void x"),
    ] {
        assert_eq!(btf.declaration(ty, "x"), expected);
    }
    assert_eq!(btf.declaration(to_node, ""), "struct node *");
    let text = "struct outer {
\tunion {
\t\tint whole;
\t\tint part: 3;
\t};
\tstruct node * (*make)(void);
}";
    assert_eq!(btf.definition(outer).as_deref(), Some(text));
    let text = "enum colour {\n\tRED = -1,\n\tBLUE = 7,\n}";
    assert_eq!(btf.definition(colour).as_deref(), Some(text));
    assert_eq!(btf.definition(int), None);
}

#[test]
fn modules_go_on_where_the_kernel_ends() {
    let mut kernel = BtfBuilder::new();
    let int = kernel.int("int", 4, IntEncoding::Signed);
    let device = kernel.structure("device", 8, &[MemberSpec::new("id", int, 0)]);
    let to_device = kernel.pointer(device);
    let proto = kernel.prototype(int, &[("dev", to_device)]);
    kernel.function("shared", proto, Linkage::Static);

    let module = |own: &str| {
        let mut b = BtfBuilder::module_of(&kernel);
        let member = MemberSpec::new("dev", to_device, 0);
        let dog = b.structure(own, 16, &[member, MemberSpec::new("count", int, 8)]);
        let to_dog = b.pointer(dog);
        let proto = b.prototype(int, &[("dog", to_dog), ("dev", to_device)]);
        let function = b.function(&format!("{own}_open"), proto, Linkage::Static);
        b.function("shared", proto, Linkage::Static);
        let enumeration = b.enumeration("mood", 4, &[(&format!("{own}_GOOD"), 3)]);
        let handler = b.pointer(proto);
        b.typedef(&format!("btf_trace_{own}_event"), handler);
        (b.finish(), function, enumeration)
    };
    let (cat, function, _) = module("cat");
    let (dog, ..) = module("dog");
    let btf = read(kernel.finish()).with_modules(
        vec![
            String::from("cat"),
            String::from("dog"),
            String::from("gone"),
        ],
        Box::new(move |name| match name {
            "cat" => Some(Box::new(cat.clone())),
            "dog" => Some(Box::new(dog.clone())),
            _ => None,
        }),
    );

    // A struct that only a module has, and one of the kernel that it refers to.
    let found = btf.find_struct("dog").expect("described");
    assert_eq!(btf.module_of(found), Some("dog"));
    let members: Vec<_> = btf.members(found).collect();
    assert_eq!(members[1].name, "count");
    assert_eq!(members[1].ty, int);
    assert_eq!(btf.resolved(members[0].ty), BtfType::Pointer(device));
    assert_eq!(btf.find_struct("device"), Some(device));

    // Functions are the module's own, and the kernel knows them by their own numbers.
    assert_eq!(btf.find_function("cat_open"), None);
    assert_eq!(btf.find_function_in("dog", "cat_open"), None);
    assert_eq!(btf.find_function_in("gone", "cat_open"), None);
    let open = btf.find_function_in("cat", "cat_open").expect("described");
    assert_eq!(btf.raw(open), function.0);
    let (name, parameter) = btf.parameters(open).next().expect("one");
    assert_eq!(name, "dog");
    assert_eq!(btf.declaration(parameter, "x"), "struct cat *x");
    assert_eq!(btf.modules_with_function("shared"), [KERNEL, "cat", "dog"]);
    assert_eq!(btf.modules_with_function("cat_open"), ["cat"]);

    // The same number of two modules is two types.
    let (mood, value) = btf.enumerator("dog_GOOD").expect("described");
    assert_eq!((btf.module_of(mood), value), (Some("dog"), 3));
    let events: Vec<_> = btf.tracepoints().collect();
    assert_eq!(events, [("cat", "cat_event"), ("dog", "dog_event")]);
    assert!(btf.tracepoint_handler("dog", "dog_event").is_some());
    assert!(btf.tracepoint_handler("", "dog_event").is_none());
    assert_eq!(btf.module_ids().count(), 16);
}
