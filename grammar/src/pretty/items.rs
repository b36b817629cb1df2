//! Prints what stands at top level: sections, attach points, C definitions.

use super::{Level, Printer, tag};
use crate::ast::*;
use std::fmt::Write;

impl Printer<'_> {
    pub(super) fn program(&mut self, program: &Program) {
        for item in &program.preamble {
            let (start, end) = c_ends(item);
            self.comments_above(start);
            self.c_item(item);
            self.comments_behind(end);
            self.put("\n");
        }
        if let Some(first) = program.config.first() {
            self.comments_above(first.name.span.start);
            self.put("config = {");
            self.indent += 1;
            for setting in &program.config {
                self.line();
                self.comments_before(setting.name.span.start);
                self.put(&setting.name.node);
                self.put(" = ");
                match (self.written(setting.value.span), &setting.value.node) {
                    (Some(written), _) => self.put(&written),
                    (None, SettingValue::Int(value)) => self.put(&value.to_string()),
                    (None, SettingValue::Bool(value)) => self.put(&value.to_string()),
                    (None, SettingValue::Text(text)) => self.string(text.as_bytes()),
                }
                self.put(";");
                self.comments_behind(setting.value.span.end);
            }
            self.indent -= 1;
            self.put("\n}\n");
        }
        for import in &program.imports {
            self.comments_above(import.span.start);
            self.import(import);
            self.put(";");
            self.comments_behind(import.span.end);
            self.put("\n");
        }
        for (i, item) in program.items.iter().enumerate() {
            if i > 0 || !self.text.is_empty() {
                self.put("\n");
            }
            let (start, end) = item_ends(item);
            self.comments_above(start);
            self.item(item);
            self.comments_behind(end);
            self.put("\n");
        }
        if self.has_comments(u32::MAX) {
            self.put(if program.items.is_empty() { "" } else { "\n" });
            self.comments_above(u32::MAX);
        }
    }

    pub(super) fn import(&mut self, import: &Import) {
        self.put("import ");
        self.string(import.path.as_bytes());
    }

    pub(super) fn item(&mut self, item: &Item) {
        match item {
            Item::Clause(clause) => {
                for (i, attach) in clause.attach_points.iter().enumerate() {
                    if i > 0 {
                        self.put(",\n");
                    }
                    self.attach_point(attach);
                }
                if let Some(predicate) = &clause.predicate {
                    self.put("\n/");
                    // A block would look like the action.
                    self.expr(predicate, Level::Ternary);
                    self.put("/");
                }
                self.put(if clause.predicate.is_some() {
                    "\n"
                } else {
                    " "
                });
                self.block(&clause.action);
            }
            Item::Macro(definition) => {
                self.put("macro ");
                self.put(&definition.name.node);
                self.put("(");
                self.list(&definition.parameters, |p, parameter| {
                    match &parameter.node {
                        MacroParameter::Variable(name) => {
                            p.put("$");
                            p.put(name);
                        }
                        MacroParameter::Map(name) => {
                            p.put("@");
                            p.put(name);
                        }
                        MacroParameter::Expression(name) => p.put(name),
                    };
                });
                self.put(") ");
                self.block(&definition.body);
            }
            Item::Function(function) => {
                self.put("fn ");
                self.put(&function.name.node);
                self.put("(");
                self.list(&function.parameters, |p, (name, ty)| {
                    p.put("$");
                    p.put(&name.node);
                    p.put(" : ");
                    p.type_name(ty);
                });
                self.put(") : ");
                self.type_name(&function.result);
                self.put(" ");
                self.block(&function.body);
            }
            Item::MapDeclaration(declaration) => {
                let (map, kind) = (&declaration.map.node, &declaration.kind.node);
                let _ = write!(self.text, "let @{map} = {kind}(");
                self.list(&declaration.arguments, |p, e| p.expr(e, Level::Lowest));
                self.put(");");
            }
            Item::Error(_) => self.put("/* not understood */"),
        }
    }

    pub(super) fn attach_point(&mut self, attach: &AttachPoint) {
        if let Some(written) = self.written(attach.span) {
            return self.put(&written);
        }
        if let Some(label) = &attach.label {
            self.put(&label.node);
            self.put("=");
        }
        // An `@` stands between its neighbours without colons.
        let mut needs_colon = false;
        for part in attach.parts.iter().map(|p| &p.node) {
            if part.text == "@" && !part.is_quoted {
                self.put("@");
                needs_colon = false;
                continue;
            }
            if needs_colon {
                self.put(":");
            }
            needs_colon = true;
            let is_special = |c: char| c.is_whitespace() || ",{<\"$".contains(c);
            if part.is_quoted || part.text.contains(is_special) {
                let escaped = part.text.replace('\\', "\\\\").replace('"', "\\\"");
                let _ = write!(self.text, "\"{escaped}\"");
            } else {
                self.put(&part.text);
            }
        }
    }

    // C definitions.

    pub(super) fn c_item(&mut self, item: &CItem) {
        match item {
            CItem::Directive(line) => self.put(&line.node),
            CItem::Record(record) => {
                self.c_record(record);
                self.put(";");
            }
            CItem::Enum(definition) => {
                self.c_enum(definition);
                self.put(";");
            }
            CItem::Typedef { field, .. } => {
                self.put("typedef ");
                self.c_field(field);
            }
            CItem::Error(_) => self.put("/* not understood */"),
        }
    }

    pub(super) fn c_record(&mut self, record: &CRecord) {
        self.put(match record.kind {
            RecordKind::Struct => "struct ",
            RecordKind::Union => "union ",
        });
        if let Some(name) = &record.name {
            self.put(&name.node);
            self.put(" ");
        }
        self.put("{");
        self.indent += 1;
        for field in &record.fields {
            self.line();
            self.comments_before(field.span.start);
            self.c_field(field);
            self.comments_behind(field.span.end);
        }
        self.comments_at_end(record.span.end);
        self.indent -= 1;
        self.line();
        self.put("}");
        self.attributes(record.attributes);
    }

    pub(super) fn c_enum(&mut self, definition: &CEnum) {
        self.put("enum ");
        if let Some(name) = &definition.name {
            self.put(&name.node);
            self.put(" ");
        }
        self.put("{");
        self.indent += 1;
        for (name, value) in &definition.variants {
            self.line();
            self.comments_before(name.span.start);
            self.put(&name.node);
            if let Some(value) = value {
                self.put(" = ");
                self.expr(value, Level::Lowest);
            }
            self.put(",");
            self.comments_behind(value.as_ref().map_or(name.span.end, |v| v.span.end));
        }
        self.comments_at_end(definition.span.end);
        self.indent -= 1;
        self.line();
        self.put("}");
    }

    pub(super) fn c_field(&mut self, field: &CField) {
        match &field.base {
            CBase::Named(name) => self.put(&name.node),
            CBase::Tagged(kind, name) => {
                self.put(tag(*kind));
                self.put(" ");
                self.put(&name.node);
            }
            CBase::Record(record) => self.c_record(record),
            CBase::Enum(definition) => self.c_enum(definition),
        }
        if field.name.is_some() || field.bits.is_some() {
            self.put(" ");
        }
        for _ in 0..field.pointers {
            self.put("*");
        }
        let name = field.name.as_ref().map_or("", |n| n.node.as_str());
        if field.is_function_pointer {
            let _ = write!(self.text, "(*{name})()");
        } else {
            self.put(name);
        }
        for length in &field.dimensions {
            self.put("[");
            self.expr(length, Level::Lowest);
            self.put("]");
        }
        if let Some(bits) = &field.bits {
            self.put(" : ");
            self.expr(bits, Level::Lowest);
        }
        self.attributes(field.attributes);
        self.put(";");
    }

    fn attributes(&mut self, attributes: Attributes) {
        if attributes.is_packed {
            self.put(" __attribute__((packed))");
        }
        if attributes.align > 0 {
            let _ = write!(self.text, " __attribute__((aligned({})))", attributes.align);
        }
    }
}

/// Where comments above an item end, and the item.
fn item_ends(item: &Item) -> (u32, u32) {
    match item {
        Item::Clause(clause) => (clause.action.span.start, clause.span.end),
        Item::Macro(definition) => (definition.body.span.start, definition.span.end),
        Item::Function(function) => (function.body.span.start, function.span.end),
        Item::MapDeclaration(declaration) => (declaration.span.end, declaration.span.end),
        Item::Error(span) => (span.start, span.end),
    }
}

/// The same for a C item.
fn c_ends(item: &CItem) -> (u32, u32) {
    let span = match item {
        CItem::Directive(line) => line.span,
        CItem::Record(record) => record.span,
        CItem::Enum(definition) => definition.span,
        CItem::Typedef { field, .. } => field.span,
        CItem::Error(span) => *span,
    };
    (span.start, span.end)
}
