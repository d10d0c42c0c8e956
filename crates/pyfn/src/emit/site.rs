//! What places of the code keep: what values are of which nothing is known (see `seen`), and where
//! classes have members (see `members`).

use cranelift_codegen::ir::{InstBuilder, Value, condcodes::IntCC, types};

use super::{Emitter, Val};
use crate::members::MemberSite;
use crate::program::Local;
use crate::seen::{Place, SEVERAL, Site};

impl Emitter<'_, '_> {
    /// What a place knows of a member of a class.
    pub(super) fn member_site(&mut self) -> Value {
        let site = Box::<MemberSite>::default();
        let address = std::ptr::from_ref::<MemberSite>(&site) as usize;
        self.unit.member_sites.push(site);
        self.address(address)
    }

    /// A value that is bound, taken for what was seen; what it is is noted otherwise.
    pub(super) fn hinted(&mut self, place: Place, to: Local, value: Val) -> Val {
        self.note(place, &value);
        let ty = self.info.seen.borrow().hinted(place, to, value.ty);
        Val { ty, ..value }
    }

    /// Notes what a value is, if nothing is known of it.
    fn note(&mut self, place: Place, value: &Val) {
        if !self.unit.observes || !self.info.seen.borrow().wants(place, &value.ty) {
            return;
        }
        let site = Box::new(Site {
            seen: 0.into(),
            kind: 0.into(),
            owner: self.unit.owner,
            function: self.unit.specs[self.spec].function,
            place,
        });
        let object = self.word(value);
        let address = self.address(std::ptr::from_ref::<Site>(&site) as usize);
        self.unit.sites.push(site);
        let (found, seen) = (
            self.load(types::I64, object, 8),
            self.load(types::I64, address, 0),
        );
        let is_new = self.b.ins().icmp(IntCC::NotEqual, found, seen);
        let (look, ask, on) = (self.cold_block(), self.cold_block(), self.new_block());
        self.b.ins().brif(is_new, look, &[], on, &[]);
        self.start(look);
        let several = i64::try_from(SEVERAL).unwrap_or(1);
        let is_known = self.b.ins().icmp_imm_s(IntCC::Equal, seen, several);
        self.b.ins().brif(is_known, on, &[], ask, &[]);
        self.start(ask);
        self.call_rarely(self.rt.note_seen, &[address, object]);
        self.jump(on, &[]);
        self.start(on);
    }
}
