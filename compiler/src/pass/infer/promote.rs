//! The type that two types promote to.

use crate::types::{Int, Space, Type};
use std::rc::Rc;

/// What both `old` and `new` become when one variable or map takes either. A flexible type
/// is that of literals whose sign does not matter. `None`: they do not mix.
pub(super) fn promote(old: (&Type, bool), new: (&Type, bool)) -> Option<(Type, bool)> {
    let (a, a_flexible) = old;
    let (b, b_flexible) = new;
    match (a, b) {
        (Type::Unknown, _) => return Some((b.clone(), b_flexible)),
        (_, Type::Unknown | Type::Error) => return Some((a.clone(), a_flexible)),
        (Type::Error, _) => return Some((Type::Error, false)),
        _ if a == b => return Some((a.clone(), a_flexible && b_flexible)),
        _ => {}
    }
    let ty = match (a, b) {
        (Type::Int(x), Type::Int(y)) => {
            let int = promote_ints((*x, a_flexible), (*y, b_flexible));
            return Some((Type::Int(int), a_flexible && b_flexible));
        }
        (Type::Int(_), Type::Bool | Type::Enum(_)) => a.clone(),
        (Type::Bool | Type::Enum(_), Type::Int(_)) => b.clone(),
        (Type::Int(_), Type::Aggregate(aggregate)) if aggregate.is_castable => Type::Int(Int {
            size: 8,
            is_signed: aggregate.is_signed || a.is_signed(),
        }),
        (Type::Str(x), Type::Str(y)) => Type::Str(*x.max(y)),
        (Type::Str(_), Type::TextNumber | Type::Site) => {
            promote(old, (&b.spelled_out()?, false))?.0
        }
        (Type::TextNumber | Type::Site, Type::Str(_)) => {
            promote((&a.spelled_out()?, false), new)?.0
        }
        (Type::Buffer(x), Type::Buffer(y)) => Type::Buffer(*x.max(y)),
        (Type::Pointer(x, space), Type::Pointer(y, other)) => {
            let space = if *space == Space::Direct {
                *other
            } else {
                *space
            };
            let pointee = if x == y {
                x.clone()
            } else {
                let (pointee, _) = promote((x, false), (y, false))?;
                Rc::new(pointee)
            };
            Type::Pointer(pointee, space)
        }
        // A null pointer, or an address that was computed.
        (Type::Pointer(..), Type::Int(_)) => a.clone(),
        (Type::Int(_), Type::Pointer(..)) => b.clone(),
        (Type::Tuple(xs), Type::Tuple(ys)) if xs.len() == ys.len() => {
            let parts: Option<Vec<Type>> = xs
                .iter()
                .zip(ys.iter())
                .map(|(x, y)| promote((x, false), (y, false)).map(|(ty, _)| ty))
                .collect();
            Type::Tuple(Rc::from(parts?))
        }
        (Type::Record(xs), Type::Record(ys)) if xs.len() == ys.len() => {
            let mut parts = Vec::new();
            for (name, x) in xs.iter() {
                let (_, y) = ys.iter().find(|(other, _)| other == name)?;
                let (ty, _) = promote((x, false), (y, false))?;
                parts.push((name.clone(), ty));
            }
            Type::Record(Rc::from(parts))
        }
        _ => return None,
    };
    Some((ty, false))
}

fn promote_ints((a, a_flexible): (Int, bool), (b, b_flexible): (Int, bool)) -> Int {
    let size = a.size.max(b.size);
    if a.is_signed == b.is_signed {
        return Int { size, ..a };
    }
    if a_flexible != b_flexible {
        let fixed = if a_flexible { b } else { a };
        return Int { size, ..fixed };
    }
    let (signed, unsigned) = if a.is_signed { (a, b) } else { (b, a) };
    let size = if signed.size > unsigned.size {
        signed.size
    } else {
        unsigned.size.saturating_mul(2).min(8)
    };
    Int {
        size,
        is_signed: true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::{I8, I64, U8, U32, U64};

    fn fixed(a: &Type, b: &Type) -> Option<Type> {
        promote((a, false), (b, false)).map(|(ty, _)| ty)
    }

    #[test]
    fn integers_promote_as_the_reference_says() {
        assert_eq!(fixed(&U8, &U32), Some(U32));
        assert_eq!(promote((&I8, true), (&U64, false)), Some((U64, false)));
        let i16 = Type::Int(Int {
            size: 2,
            is_signed: true,
        });
        assert_eq!(fixed(&I8, &U8), Some(i16));
        assert_eq!(fixed(&I64, &U64), Some(I64));
        assert_eq!(fixed(&I64, &U8), Some(I64));
    }

    #[test]
    fn kinds_do_not_mix() {
        assert_eq!(fixed(&I8, &Type::Str(2)), None);
        assert_eq!(fixed(&Type::Str(4), &Type::Str(9)), Some(Type::Str(9)));
        let pair = |a, b| Type::Tuple(Rc::from([a, b]));
        assert_eq!(
            fixed(&pair(U8, Type::Str(2)), &pair(U32, Type::Str(3))),
            Some(pair(U32, Type::Str(3)))
        );
        assert_eq!(fixed(&pair(U8, U8), &U8), None);
    }
}
