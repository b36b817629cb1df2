//! A flame graph: stacks as a picture that a browser shows.
//!
//! Takes folded stacks with their weights; gives an SVG file in which a click zooms, `/` searches
//! and pointing at a frame says what it is. A frame is as wide as all stacks through it weigh,
//! and stands on the one that called it. Knows nothing of tracing.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::hash::{DefaultHasher, Hash, Hasher};

/// What of the picture is frames, a frame's height, and the room above and below, in pixels.
const WIDTH: f64 = 1180.0;
const HEIGHT: usize = 16;
const ABOVE: usize = 40;
const BELOW: usize = 16;

/// What is narrower would not be seen.
const NARROWEST: f64 = 0.1;

const SCRIPT: &str = include_str!("picture.js");

/// A frame and what stands on it.
#[derive(Default)]
struct Node<'s> {
    weight: u64,
    callees: BTreeMap<&'s str, Node<'s>>,
}

impl<'s> Node<'s> {
    fn of(stacks: &'s BTreeMap<String, u64>) -> Node<'s> {
        let mut root = Node::default();
        for (stack, weight) in stacks {
            root.weight += weight;
            let mut node = &mut root;
            for frame in stack.split(';') {
                node = node.callees.entry(frame).or_default();
                node.weight += weight;
            }
        }
        root
    }

    fn height(&self) -> usize {
        let callees = self.callees.values().map(Node::height);
        1 + callees.max().unwrap_or(0)
    }
}

/// The picture. A name's end `mark` says that it is the kernel's.
pub(super) fn draw(stacks: &BTreeMap<String, u64>, title: &str, mark: &str) -> String {
    let root = Node::of(stacks);
    let height = root.height() * HEIGHT + ABOVE + BELOW;
    let title = escaped(title);
    let mut svg = format!(
        "<?xml version=\"1.0\" standalone=\"no\"?>\n\
         <svg version=\"1.1\" width=\"1200\" height=\"{height}\" viewBox=\"0 0 1200 {height}\" \
         xmlns=\"http://www.w3.org/2000/svg\">\n\
         <style>text {{ font: 12px monospace; fill: black; }} g, #search {{ cursor: pointer; }} \
         g:hover rect {{ stroke: black; stroke-width: 0.5; }}</style>\n\
         <rect width=\"100%\" height=\"100%\" fill=\"#f8f8f0\"/>\n\
         <text x=\"600\" y=\"24\" text-anchor=\"middle\" style=\"font-size: 17px\">{title}</text>\n\
         <text id=\"search\" x=\"1190\" y=\"24\" text-anchor=\"end\">Search (/)</text>\n"
    );
    let mut picture = Picture {
        total: root.weight.max(1),
        floor: height - BELOW,
        mark,
        svg: &mut svg,
    };
    picture.frame("all", &root, 0, 0);
    let _ = writeln!(svg, "<script><![CDATA[\n{SCRIPT}]]></script>\n</svg>");
    svg
}

struct Picture<'p> {
    total: u64,
    /// The line that the first frame stands on.
    floor: usize,
    mark: &'p str,
    svg: &'p mut String,
}

impl Picture<'_> {
    /// A frame and those on it; `before` is the weight of what stands to the left.
    fn frame(&mut self, name: &str, node: &Node<'_>, before: u64, depth: usize) {
        let share = |weight: u64| weight as f64 / self.total as f64;
        let (x, w) = (share(before), share(node.weight));
        if w * WIDTH < NARROWEST {
            return;
        }
        let (left, width) = (10.0 + x * WIDTH, w * WIDTH);
        let top = self.floor - (depth + 1) * HEIGHT;
        let color = color(name, self.mark);
        let name = name.strip_suffix(self.mark).unwrap_or(name);
        let room = ((width - 6.0) / 7.0).max(0.0) as usize;
        let (label, text) = (escaped(&label(name, room)), escaped(name));
        let _ = writeln!(
            self.svg,
            "<g data-x=\"{x:.9}\" data-w=\"{w:.9}\" data-d=\"{depth}\">\
             <title>{text} ({} samples, {:.2}%)</title>\
             <rect x=\"{left:.2}\" y=\"{top}\" width=\"{width:.2}\" height=\"{}\" rx=\"2\" \
             fill=\"{color}\"/><text x=\"{:.2}\" y=\"{}\">{label}</text></g>",
            node.weight,
            w * 100.0,
            HEIGHT - 1,
            left + 3.0,
            top + 12,
        );
        let mut before = before;
        for (name, callee) in &node.callees {
            self.frame(name, callee, before, depth + 1);
            before += callee.weight;
        }
    }
}

/// A name in so many letters.
fn label(name: &str, room: usize) -> String {
    if room < 3 {
        return String::new();
    }
    if name.chars().count() <= room {
        return name.to_owned();
    }
    let mut cut: String = name.chars().take(room - 2).collect();
    cut.push_str("..");
    cut
}

/// Orange for the kernel, yellow for C++ and Rust, red for others; equal names have one colour.
fn color(name: &str, mark: &str) -> String {
    let mut hasher = DefaultHasher::new();
    name.hash(&mut hasher);
    let shade = hasher.finish() % 50;
    match () {
        () if name.ends_with(mark) => format!("rgb({},{},0)", 200 + shade, 110 + shade),
        () if name.contains("::") => format!("rgb({},{},50)", 175 + shade, 175 + shade),
        () => format!("rgb({},{},{})", 200 + shade, 50 + shade, 50 + shade),
    }
}

fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            c if c.is_control() => out.push(' '),
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic)]
mod tests {
    use super::*;

    fn stacks(lines: &[(&str, u64)]) -> BTreeMap<String, u64> {
        let lines = lines.iter();
        lines.map(|(line, n)| (String::from(*line), *n)).collect()
    }

    #[test]
    fn frames_are_as_wide_as_they_weigh() {
        let stacks = stacks(&[("sh;main;f", 1), ("sh;main;g_[k]", 3)]);
        let svg = draw(&stacks, "a <title>", "_[k]");
        assert!(svg.contains("a &lt;title&gt;"), "{svg}");
        assert!(
            svg.contains("<title>main (4 samples, 100.00%)</title>"),
            "{svg}"
        );
        // The mark has chosen a colour and is gone.
        assert!(
            svg.contains("<title>g (3 samples, 75.00%)</title>"),
            "{svg}"
        );
        assert!(svg.contains("data-x=\"0.250000000\" data-w=\"0.750000000\" data-d=\"3\""));
        assert!(svg.contains("height=\"120\""), "{svg}");
        assert!(svg.trim_end().ends_with("</svg>"), "{svg}");
    }

    #[test]
    fn names_are_cut_and_escaped() {
        assert_eq!(label("function", 6), "func..");
        assert_eq!(label("function", 8), "function");
        assert_eq!(label("function", 2), "");
        assert_eq!(escaped("a<b>&\"\n"), "a&lt;b&gt;&amp;&quot; ");
    }
}
