//! How the arguments of a call become the parameters of a function of the unit.
//!
//! Named arguments go where their parameters are, and what is left out is taken from the function's
//! defaults, which are known. They could be replaced, so a call that needs some looks whether the
//! tuple that they are in is still the one that was seen.

use crate::globals::Global;
use crate::program::Atom;
use crate::scope::Scope;
use crate::types::Ty;
use crate::unit::FunctionInfo;

/// What is known of a function's parameters beside their number.
#[derive(Debug, Clone, Default)]
pub struct Defaults {
    /// Where the function has the tuple of its defaults, and that tuple.
    pub place: Option<(usize, usize)>,
    /// The values in it: those of the last parameters.
    pub values: Vec<Global>,
    /// Whether parameters may be named in a call.
    pub by_name: bool,
}

/// What a parameter gets.
pub(crate) enum Argument<'a> {
    /// An argument of the call.
    Given(&'a Atom),
    /// All that are left, as a tuple.
    Rest(&'a [Atom]),
    /// The default of this number.
    Default(usize),
}

impl FunctionInfo {
    /// What the parameters get from the `skipped`th on; `None` if they do not fit the arguments.
    pub(crate) fn arguments<'a>(
        &self,
        skipped: usize,
        args: &'a [Atom],
        named: &'a [(String, Atom)],
    ) -> Option<Vec<Argument<'a>>> {
        let program = &self.program;
        let (n_plain, n_named) = (program.n_plain, program.n_named);
        let has_rest = program.n_params > n_plain + n_named;
        let fits = !program.takes_all_names
            && skipped <= n_plain
            && (skipped + args.len() <= n_plain || has_rest);
        if !fits || !named.is_empty() && !self.defaults.by_name {
            return None;
        }
        let n_required = n_plain - self.defaults.values.len().min(n_plain);
        let mut n_taken = 0;
        let mut argument = |at: usize| {
            if at < n_plain
                && let Some(given) = args.get(at - skipped)
            {
                return Some(Argument::Given(given));
            }
            if at >= n_plain + n_named {
                let rest = args.get(n_plain - skipped..).unwrap_or_default();
                return Some(Argument::Rest(rest));
            }
            let name = &program.locals[at];
            if let Some((_, given)) = named.iter().find(|(known, _)| known == name) {
                n_taken += 1;
                return Some(Argument::Given(given));
            }
            let default = at.checked_sub(n_required).filter(|_| at < n_plain)?;
            self.defaults.place.map(|_| Argument::Default(default))
        };
        let all = (skipped..program.n_params)
            .map(&mut argument)
            .collect::<Option<Vec<_>>>()?;
        // Others name no parameter, or one that has got an argument.
        (n_taken == named.len()).then_some(all)
    }
}

impl Scope<'_> {
    /// The types of a function's parameters in a call, the first one's if that is not an argument.
    pub(crate) fn arguments(
        &self,
        function: &FunctionInfo,
        first: Option<Ty>,
        args: &[Atom],
        named: &[(String, Atom)],
    ) -> Option<Vec<Ty>> {
        let arguments = function.arguments(usize::from(first.is_some()), args, named)?;
        let types = arguments.into_iter().map(|argument| match argument {
            Argument::Given(atom) => self.atom(atom),
            Argument::Rest(rest) => {
                let rest = self.atoms(rest).into_iter();
                Ty::tuple(rest.map(|ty| ty.narrowed().clone()).collect())
            }
            Argument::Default(at) => self.global(&function.defaults.values[at]),
        });
        Some(first.into_iter().chain(types).collect())
    }
}
