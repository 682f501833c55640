//! One screen a function, one noun a file (style, habit 16).

use proc_macro2::Span;
use syn::spanned::Spanned;
use syn::visit::{self, Visit};

use crate::sources::{Source, all};

/// Most lines of one function.
const FUNCTION_LINES_MAX: usize = 150;
/// Functions above this many lines are long; few may be.
const FUNCTION_LINES_LONG: usize = 70;
/// Largest share of long functions, in percent.
const LONG_SHARE_MAX: f64 = 5.0;
/// Most lines of product code in one file.
const FILE_LINES_MAX: usize = 1_200;

struct Functions<'a> {
    path: &'a str,
    found: Vec<(String, usize)>,
}

impl Functions<'_> {
    fn note(&mut self, name: &syn::Ident, body: Span) {
        let lines = body.end().line - body.start().line + 1;
        self.found.push((format!("{}:{} {name}", self.path, body.start().line), lines));
    }
}

fn is_test(attributes: &[syn::Attribute]) -> bool {
    attributes.iter().any(|attribute| {
        let path = attribute.path();
        path.segments.last().is_some_and(|segment| segment.ident == "test")
            || (path.is_ident("cfg")
                && attribute.parse_args::<syn::Ident>().is_ok_and(|argument| argument == "test"))
    })
}

impl<'ast> Visit<'ast> for Functions<'_> {
    fn visit_item_mod(&mut self, item: &'ast syn::ItemMod) {
        if !is_test(&item.attrs) {
            visit::visit_item_mod(self, item);
        }
    }

    fn visit_item_fn(&mut self, item: &'ast syn::ItemFn) {
        if !is_test(&item.attrs) {
            self.note(&item.sig.ident, item.block.span());
            visit::visit_item_fn(self, item);
        }
    }

    fn visit_impl_item_fn(&mut self, item: &'ast syn::ImplItemFn) {
        self.note(&item.sig.ident, item.block.span());
        visit::visit_impl_item_fn(self, item);
    }
}

fn functions(source: &Source) -> Vec<(String, usize)> {
    let file = syn::parse_file(&source.text).unwrap_or_else(|error| panic!("{}: {error}", source.path));
    let mut functions = Functions { path: &source.path, found: Vec::new() };
    functions.visit_file(&file);
    functions.found
}

#[test]
fn functions_fit_a_screen() {
    let measured: Vec<(String, usize)> =
        all().iter().filter(|source| source.is_product()).flat_map(functions).collect();
    let giants: Vec<&(String, usize)> =
        measured.iter().filter(|(_, lines)| *lines > FUNCTION_LINES_MAX).collect();
    assert!(giants.is_empty(), "functions over {FUNCTION_LINES_MAX} lines: {giants:#?}");

    let long: Vec<&(String, usize)> =
        measured.iter().filter(|(_, lines)| *lines > FUNCTION_LINES_LONG).collect();
    let share = 100.0 * long.len() as f64 / measured.len() as f64;
    assert!(
        share <= LONG_SHARE_MAX,
        "{share:.1} % of functions are over {FUNCTION_LINES_LONG} lines: {long:#?}"
    );
}

#[test]
fn files_hold_one_noun() {
    for source in all().iter().filter(|source| source.is_product()) {
        let lines = source.product_lines().count();
        assert!(lines <= FILE_LINES_MAX, "{} has {lines} lines of product code", source.path);
    }
}

#[test]
fn every_crate_opens_with_what_it_is() {
    for source in all().iter().filter(|source| source.path.ends_with("src/lib.rs")) {
        assert!(source.text.starts_with("//! "), "{} does not say what the crate is", source.path);
    }
}
