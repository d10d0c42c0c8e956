//! Leaving native code: the frame becomes Python objects, and Python finishes the call.

use opcodon_pyfn::{HOISTED, LoopShape, OBJECT, Record, Shape, UNEXPECTED, UNSET};
use pyo3::ffi::{self, PyObject};
use pyo3::prelude::*;

use super::calls::{box_value, call, make_tuple, range};
use super::catch::{end_handling, fetch};
use super::group::Group;
use super::lock;
use super::table;
use super::unboxed::Lists;

/// Continue before the statement.
const BEFORE: i64 = 0;
/// Continue behind the statement, which is done.
const BEHIND: i64 = 1;
/// The statement raised.
const RAISED: i64 = 2;

pub(super) unsafe extern "C" fn leave(record: *const Record, frame: *const u64) -> *mut PyObject {
    unsafe {
        lock::hold();
        hand_over(&*record, frame, std::ptr::null_mut())
    }
}

pub(super) unsafe extern "C" fn guards_hold(owner: *const Group) -> u64 {
    let owner = unsafe { &*owner };
    let look = || u64::from(owner.guards_hold(unsafe { Python::assume_attached() }));
    if !lock::is_released() {
        look()
    } else if owner.words_hold() {
        // Without the lock: to wait for it each time would have threads wait for one another.
        1
    } else {
        unsafe { lock::with(look) }
    }
}

pub(super) unsafe extern "C" fn fail(record: *const Record, frame: *const u64) -> *mut PyObject {
    unsafe {
        lock::hold();
        hand_over(&*record, frame, fetch())
    }
}

/// Calls the function that continues; the exception's reference is used up.
unsafe fn hand_over(record: &Record, frame: *const u64, exception: *mut PyObject) -> *mut PyObject {
    unsafe {
        let group = &*(record.owner as *const Group);
        let member = &group.members[record.function];
        record.n_taken.set(record.n_taken.get() + 1);
        if record.why == HOISTED {
            group.may_hoist.set(false);
            group.is_refuted.set(true);
        } else if record.why == UNEXPECTED {
            group.note_unexpected(record.function, record.statement);
        }
        let mut at = frame;
        let mut lists = Lists::default();
        let mut args = Vec::with_capacity(record.locals.len() + record.loops.len() + 1);
        for shape in &record.locals {
            args.push(read(shape, &mut at, group.unset.as_ptr(), &mut lists));
        }
        for shape in &record.loops {
            match shape {
                LoopShape::Range => {
                    let words = [*at, *at.add(1), *at.add(2)].map(|word| word as i64);
                    at = at.add(3);
                    let next = [words[0].wrapping_add(words[2]), words[1], words[2]];
                    let object = range(next.as_ptr());
                    args.push(if object.is_null() {
                        object
                    } else {
                        ffi::PyObject_GetIter(object)
                    });
                    ffi::Py_DecRef(object);
                }
                LoopShape::Sequence => {
                    let object = lists.seen(*at as *mut PyObject);
                    args.push(iterator_at(object, *at.add(1) as i64));
                    ffi::Py_DecRef(object);
                    at = at.add(2);
                }
                LoopShape::Lockstep(n, start) => {
                    let index = *at.add(*n) as i64;
                    let mut iterators = Vec::with_capacity(*n);
                    for k in 0..*n {
                        let object = lists.seen(*at.add(k) as *mut PyObject);
                        iterators.push(iterator_at(object, index));
                        ffi::Py_DecRef(object);
                    }
                    args.push(together(&iterators, start.map(|start| start + index)));
                    at = at.add(n + 1);
                }
                LoopShape::Table(view) => {
                    let object = lists.seen(*at as *mut PyObject);
                    let turns =
                        [*at.add(1), *at.add(2)].map(|word| usize::try_from(word).unwrap_or(0));
                    if object.is_null() {
                        args.push(object);
                    } else {
                        args.push(table::iterator(object, *view, turns[0], turns[1]));
                    }
                    ffi::Py_DecRef(object);
                    at = at.add(3);
                }
                LoopShape::Spread(n, n_inner) => {
                    let number = Shape::Value { borrowed: true };
                    let part = match n_inner {
                        0 => number,
                        _ => Shape::Tuple(vec![number; *n_inner]),
                    };
                    let parts = Shape::Tuple(vec![part; *n]);
                    let mut place = *at as *const u64;
                    let object = read(&parts, &mut place, group.unset.as_ptr(), &mut lists);
                    args.push(iterator_at(object, *at.add(1) as i64));
                    ffi::Py_DecRef(object);
                    at = at.add(2);
                }
                LoopShape::Iterator => {
                    args.push(*at as *mut PyObject);
                    at = at.add(1);
                }
                LoopShape::Dropped => {
                    ffi::Py_DecRef(*at as *mut PyObject);
                    at = at.add(1);
                }
            }
        }
        drop(lists);
        if args.iter().any(|arg| arg.is_null()) {
            // There is no memory for what Python would go on with.
            for &arg in args.iter().filter(|arg| !arg.is_null()) {
                ffi::Py_DecRef(arg);
            }
            ffi::Py_DecRef(exception);
            if ffi::PyErr_Occurred().is_null() {
                ffi::PyErr_NoMemory();
            }
            return std::ptr::null_mut();
        }
        if record.is_handling {
            // Python raises once more what is being handled.
            end_handling();
        }
        let mode = match (exception.is_null(), record.is_done) {
            (false, _) => RAISED,
            (true, true) => BEHIND,
            (true, false) => BEFORE,
        };
        if !exception.is_null() {
            args.push(exception);
        }
        let mut first = args
            .first()
            .map_or(std::ptr::null_mut(), |&first| ffi::Py_XNewRef(first));
        let values = ffi::PyList_New(args.len() as ffi::Py_ssize_t);
        if values.is_null() {
            args.iter().for_each(|&arg| ffi::Py_DecRef(arg));
            ffi::Py_DecRef(first);
            return values;
        }
        for (at, arg) in args.into_iter().enumerate() {
            ffi::PyList_SetItem(values, at as ffi::Py_ssize_t, arg);
        }
        let py = Python::assume_attached();
        let result = match member.resumed(py, record.statement, mode) {
            Ok((function, takes_first)) if takes_first => call(function.as_ptr(), &[first, values]),
            Ok((function, _)) => {
                ffi::Py_DecRef(std::mem::replace(&mut first, std::ptr::null_mut()));
                call(function.as_ptr(), &[values])
            }
            Err(error) => {
                error.restore(py);
                std::ptr::null_mut()
            }
        };
        ffi::Py_DecRef(first);
        ffi::Py_DecRef(values);
        result
    }
}

unsafe fn read(
    shape: &Shape,
    at: &mut *const u64,
    unset: *mut PyObject,
    lists: &mut Lists,
) -> *mut PyObject {
    unsafe {
        match shape {
            Shape::Unset => ffi::Py_NewRef(unset),
            Shape::Range => {
                let object = range(at.cast());
                *at = at.add(3);
                object
            }
            Shape::Tuple(parts) => {
                let items = parts.iter().map(|part| read(part, at, unset, lists));
                let items = items.collect::<Vec<_>>();
                let tuple = if items.iter().any(|item| item.is_null()) {
                    std::ptr::null_mut()
                } else {
                    make_tuple(items.as_ptr(), items.len() as i64)
                };
                items.into_iter().for_each(|item| ffi::Py_DecRef(item));
                tuple
            }
            Shape::Value { borrowed } => {
                let (tag, word, bits) = (**at, *at.add(1), *at.add(2));
                *at = at.add(3);
                if tag == u64::from(UNSET) {
                    return ffi::Py_NewRef(unset);
                }
                if tag == u64::from(OBJECT) && !borrowed {
                    return lists.seen(word as *mut PyObject);
                }
                box_value(tag, word as i64, bits)
            }
        }
    }
}

/// `zip` or, with a count to go on with, `enumerate` of iterators, whose references are used up.
unsafe fn together(iterators: &[*mut PyObject], count: Option<i64>) -> *mut PyObject {
    unsafe {
        let mut args = iterators.to_vec();
        let type_ = match count {
            Some(count) => {
                args.push(ffi::PyLong_FromLongLong(count));
                &raw mut ffi::PyEnum_Type
            }
            None => &raw mut ffi::PyZip_Type,
        };
        if args.iter().any(|arg| arg.is_null()) {
            args.into_iter().for_each(|arg| ffi::Py_DecRef(arg));
            return std::ptr::null_mut();
        }
        let made = call(type_.cast(), &args);
        args.into_iter().for_each(|arg| ffi::Py_DecRef(arg));
        made
    }
}

/// An iterator over a list or an array that goes on at an index.
unsafe fn iterator_at(object: *mut PyObject, index: i64) -> *mut PyObject {
    unsafe {
        let py = Python::assume_attached();
        if object.is_null() {
            return object;
        }
        let iterator = ffi::PyObject_GetIter(object);
        let Some(bound) = Bound::from_owned_ptr_or_opt(py, iterator) else {
            return std::ptr::null_mut();
        };
        // An iterator at the end of its sequence takes any index as the end.
        let _ = bound.call_method1("__setstate__", (index,));
        bound.into_ptr()
    }
}
