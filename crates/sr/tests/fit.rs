//! Whole fits: what is found, what is repeatable, what is refused, how a fit ends.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use opcodon_evo::Rng;
use opcodon_sr::{
    Config, Constraints, Hooks, Observations, Report, SrError, StopReason, fit, fit_with,
};

/// Reproducible numbers in [0, 1) for test tables.
fn spread(n: usize, column: u64) -> impl Iterator<Item = f64> {
    let mut rng = Rng::new(2026, column);
    (0..n).map(move |_| rng.f64())
}

fn inputs(n: usize, ranges: &[(f64, f64)]) -> Vec<Vec<f64>> {
    ranges
        .iter()
        .enumerate()
        .map(|(j, (low, high))| {
            spread(n, j as u64)
                .map(|u| low + (high - low) * u)
                .collect()
        })
        .collect()
}

fn config(settings: &[(&str, &str)]) -> Config {
    let mut config = Config::default();
    for (name, value) in [
        ("time_limit", "none"),
        ("max_generations", "30"),
        ("population_size", "200"),
        ("islands", "2"),
        ("random_state", "7"),
        ("n_jobs", "2"),
    ]
    .iter()
    .chain(settings)
    {
        config.set(name, value).expect(name);
    }
    config
}

fn run(names: &[&str], columns: &[Vec<f64>], y: &[f64], settings: &[(&str, &str)]) -> Report {
    let refs: Vec<&[f64]> = columns.iter().map(Vec::as_slice).collect();
    fit(&Observations::new(names, &refs, "y", y), &config(settings)).expect("fit")
}

#[test]
fn definitions_of_the_user_are_put_to_use() {
    // No operator among these makes a bell.
    let columns = inputs(80, &[(-5.0, 5.0), (0.5, 3.0)]);
    let y: Vec<f64> = (0..80)
        .map(|row| columns[1][row] * (-(columns[0][row] - 0.5).powi(2)).exp())
        .collect();
    let names = ["x", "a"];
    let plain = run(&names, &columns, &y, &[("operators", "add,sub,mul")]);
    let bells = [("operators", "add,sub,mul,gauss(x) = exp(-x^2)")];
    let defined = run(&names, &columns, &y, &bells);
    assert!(plain.best().r2 < 0.9999, "{}", plain.best().formula);
    assert!(defined.best().r2 > 0.999_999, "{}", defined.best().formula);
    let json = defined.to_json();
    let back = Report::from_json(&json).expect("report");
    assert_eq!(back.config.operators, defined.config.operators);
}

#[test]
fn guesses_are_where_the_search_starts() {
    // Nothing that one generation would find; the columns are scaled, constant and doubled.
    let mut columns = inputs(60, &[(0.5, 2.0), (1e7, 5e7)]);
    columns.push(vec![3.0; 60]);
    columns.push(columns[0].clone());
    let y: Vec<f64> = (0..60)
        .map(|row| {
            let (x, a) = (columns[0][row], columns[1][row]);
            4.0 - 2.5 * (1.7 * x * x - 0.3 * a.sqrt() * 1e-3).cos() / (x + 3.0)
        })
        .collect();
    let names = ["x", "a", "c", "twin"];
    let settings = |guesses| {
        [
            ("max_generations", "1"),
            ("seeds", "false"),
            ("guesses", guesses),
        ]
    };
    let without = run(&names, &columns, &y, &settings(""));
    let with = "x; cos(twin^2*1.5 - 0.0002*sqrt(a))/(x + c)";
    let with = run(&names, &columns, &y, &settings(with));
    assert!(without.best().r2 < 0.999, "{}", without.best().formula);
    assert!(with.best().r2 > 0.999_999, "{}", with.best().formula);
    let refs: Vec<&[f64]> = columns.iter().map(Vec::as_slice).collect();
    let table = Observations::new(&names, &refs, "y", &y);
    let error = fit(&table, &config(&[("guesses", "x; 2*z")]))
        .expect_err("z")
        .to_string();
    assert!(
        error.contains("guess '2*z'") && error.contains("unknown variable `z`"),
        "{error}"
    );
}

#[test]
fn every_formula_of_a_front_keeps_the_constraints() {
    // The law itself breaks each rule, so that the search is drawn to break it.
    let columns = inputs(120, &[(0.5, 3.0), (0.5, 3.0)]);
    let y: Vec<f64> = (0..120)
        .map(|row| (columns[0][row] + columns[1][row].sin()).sin() / (columns[1][row] + 1.0))
        .collect();
    for rules in [
        "sin in sin <= 0",
        "sin <= 1; cos <= 0",
        "div[2] <= 1; / <= 1",
    ] {
        let constraints = Constraints::from_text(rules).expect(rules);
        let report = run(&["x", "a"], &columns, &y, &[("constraints", rules)]);
        assert!(report.front.len() > 2, "{report}");
        for model in &report.front {
            assert!(constraints.allow(&model.expr), "{rules}: {}", model.formula);
        }
    }
}

#[test]
fn every_formula_of_a_front_is_made_of_what_was_asked_for() {
    // A product, which seeds and simplification would write as one.
    let columns = inputs(120, &[(0.5, 3.0), (0.5, 3.0)]);
    let y: Vec<f64> = (0..120)
        .map(|row| columns[0][row] * columns[1][row] + columns[0][row].powi(2))
        .collect();
    let report = run(&["x", "a"], &columns, &y, &[("operators", "add,sub")]);
    assert!(report.front.len() > 1, "{report}");
    for model in &report.front {
        let (expr, formula) = (&model.expr, &model.formula);
        let [origin, a, b, both] =
            [[0.0, 0.0], [1.0, 0.5], [0.25, 2.0], [1.25, 2.5]].map(|row| expr.eval(&row));
        let off = a + b - origin - both;
        assert!(off.abs() < 1e-9 * (1.0 + both.abs()), "no plane: {formula}");
    }
}

#[test]
fn a_number_that_stands_twice_becomes_simple_in_both_places() {
    let columns = inputs(80, &[(1.0, 5.0)]);
    let y: Vec<f64> = columns[0]
        .iter()
        .map(|x| 2.0 * (-(x - 3.0).powi(2)).exp())
        .collect();
    let settings = [
        ("operators", "add,sub,mul,exp"),
        ("guesses", "2.1*exp(-((x - 2.9)*(x - 2.9)))"),
        ("seeds", "false"),
    ];
    let report = run(&["x"], &columns, &y, &settings);
    let law = report.best();
    let constants = law.expr.constants();
    assert!(constants.iter().all(|c| c.fract() == 0.0), "{report}");
}

#[test]
fn laws_are_recovered_exactly() {
    /// Name, inputs, their ranges, the law, and the largest size that counts as found.
    type Case<'a> = (
        &'a str,
        &'a [&'a str],
        &'a [(f64, f64)],
        fn(&[f64]) -> f64,
        usize,
    );
    let laws: [Case; 6] = [
        (
            "Coulomb",
            &["q1", "q2", "eps", "r"],
            &[(1.0, 5.0); 4],
            |x| x[0] * x[1] / (4.0 * std::f64::consts::PI * x[2] * x[3] * x[3]),
            12,
        ),
        ("Kepler", &["a"], &[(0.3, 40.0)], |x| x[0].powf(1.5), 8),
        (
            "Lorentz",
            &["m", "v", "c"],
            &[(1.0, 5.0), (1.0, 2.0), (3.0, 10.0)],
            |x| x[0] / (1.0 - (x[1] / x[2]).powi(2)).sqrt(),
            14,
        ),
        (
            "lens",
            &["d1", "d2", "n"],
            &[(1.0, 5.0); 3],
            |x| 1.0 / (1.0 / x[0] + x[2] / x[1]),
            12,
        ),
        (
            "wave",
            &["x", "k"],
            &[(0.0, 6.0), (1.0, 2.0)],
            |x| 3.0 * (2.0 * x[0] * x[1]).sin() + 0.5,
            14,
        ),
        (
            "logistic",
            &["x", "r"],
            &[(0.0, 1.0), (1.0, 4.0)],
            |x| x[1] * x[0] * (1.0 - x[0]),
            9,
        ),
    ];
    for (name, names, ranges, law, most) in laws {
        let columns = inputs(200, ranges);
        let y: Vec<f64> = (0..200)
            .map(|i| law(&columns.iter().map(|c| c[i]).collect::<Vec<_>>()))
            .collect();
        let report = run(names, &columns, &y, &[]);
        let best = report.best();
        assert!(
            1.0 - best.r2 < 1e-12 && best.size <= most,
            "{name}\n{report}"
        );
    }
}

#[test]
fn noise_is_not_fitted_and_constants_are_snapped() {
    let columns = inputs(300, &[(-3.0, 3.0), (-3.0, 3.0), (-3.0, 3.0)]);
    let noise = spread(300, 33).map(|u| (u - 0.5) * 0.3);
    let y: Vec<f64> = noise
        .enumerate()
        .map(|(i, e)| 2.0 * columns[0][i] + 0.5 * columns[1][i].powi(2) + e)
        .collect();
    let report = run(&["a", "b", "c"], &columns, &y, &[]);
    let best = report.best();
    assert!(
        best.size <= 16 && best.cv_r2.expect("few rows") > 0.995,
        "{report}"
    );
    assert!(!report.choice.contains("the mean of"), "{report}");
    // What a constant was snapped to was read off all rows.
    let mut front = report.front.iter();
    assert!(front.all(|m| m.cv_r2 < Some(m.r2 - 1e-6)), "{report}");
    assert!(
        best.formula.contains("0.5*square(b)") && best.formula.contains("2*a"),
        "{report}"
    );
}

#[test]
fn laws_of_many_inputs_are_found_in_fewer() {
    let names = ["G", "m", "M", "x", "X", "y", "Y", "junk"];
    let ranges = [
        (1.0, 2.0),
        (1.0, 2.0),
        (1.0, 2.0),
        (1.0, 2.0),
        (3.0, 4.0),
        (1.0, 2.0),
        (3.0, 4.0),
    ];
    let mut columns = inputs(1500, &ranges);
    columns.push(spread(1500, 99).collect());
    let force = |i: usize| {
        let c = |j: usize| columns[j][i];
        c(0) * c(1) * c(2) / ((c(4) - c(3)).powi(2) + (c(6) - c(5)).powi(2))
    };
    let mut rng = Rng::new(3, 4);
    let y: Vec<f64> = (0..1500).map(|i| force(i) + 0.01 * rng.normal()).collect();
    let until_time = [("max_generations", "none"), ("time_limit", "6")];
    for limit in [&[("max_generations", "20")][..], &until_time] {
        let report = run(&names, &columns, &y, limit);
        let best = report.best();
        assert!((0.9..1.1).contains(&(best.loss / 1e-4)), "{}", best.formula);
        assert!(best.size <= 22, "{}", best.formula);
    }
}

#[test]
fn what_is_nearly_a_line_gets_its_bend_and_nothing_of_its_noise() {
    // A bend of a thousandth, noise of a hundredth of that. Formulas whose values all but cancel
    // bend as little, and must not seem exact; waves could follow the noise.
    let columns = inputs(120, &[(10.0, 900.0), (0.0, 1.0)]);
    let mut rng = Rng::new(3, 3);
    let y: Vec<f64> = columns[0]
        .iter()
        .map(|d| 1.013 + 0.0981 * d * (1.0 + 2e-5 * d) + 0.02 * rng.normal())
        .collect();
    for seed in ["1", "2", "3"] {
        let settings = [("random_state", seed), ("max_generations", "120")];
        let report = run(&["depth", "junk"], &columns, &y, &settings);
        let best = report.best();
        assert_ne!(report.stop, StopReason::TargetError, "{}", best.formula);
        assert!(best.size <= 12, "{}", best.formula);
        assert!((0.7..1.5).contains(&(best.loss / 4e-4)), "{}", best.formula);
    }
}

#[test]
fn the_same_seed_gives_the_same_bits_for_any_number_of_threads() {
    let columns = inputs(150, &[(0.5, 4.0), (0.5, 4.0), (0.5, 4.0)]);
    // Noise, so that no seed finds all there is.
    let y: Vec<f64> = spread(150, 35)
        .enumerate()
        .map(|(i, e)| {
            (columns[0][i] * columns[1][i]).sin() + columns[2][i] / (1.0 + columns[0][i]) + e
        })
        .collect();
    let limits: [&[(&str, &str)]; 2] = [
        &[("max_generations", "12")],
        &[("max_evaluations", "3000"), ("max_generations", "none")],
    ];
    for limit in limits {
        let with = |threads: &str, seed: &str| {
            let mut settings = limit.to_vec();
            settings.extend([
                ("n_jobs", threads),
                ("random_state", seed),
                ("islands", "3"),
            ]);
            let mut report = run(&["a", "b", "c"], &columns, &y, &settings);
            report.elapsed_s = 0.0;
            report.config.n_jobs = 0;
            report
        };
        let one = with("1", "5");
        assert_eq!(one, with("2", "5"), "{limit:?}");
        assert_ne!(
            one.front,
            with("1", "6").front,
            "the seed matters: {limit:?}"
        );
    }
}

#[test]
fn no_model_is_chosen_that_a_shrunken_plane_beats_on_rows_left_out() {
    // 30 rows, 6 inputs, mostly noise.
    let columns = inputs(30, &[(-1.0, 1.0); 6]);
    let y: Vec<f64> = spread(30, 33)
        .zip(spread(30, 34))
        .enumerate()
        .map(|(i, (e, f))| 0.3 * columns[0][i] + 0.2 * columns[4][i] + 3.0 * (e - 0.5) * (f + 0.2))
        .collect();
    let names = ["a", "b", "c", "d", "e", "f"];
    let report = run(&names, &columns, &y, &[]);
    let chosen = report.best().cv_r2.expect("cross-validated");
    let mean = report.front[0].cv_r2.expect("cross-validated");
    assert!(
        report.front[0].size == 1 && chosen >= mean - 1e-9,
        "{report}"
    );
}

#[test]
fn fronts_are_in_order_and_keep_to_the_size_limit() {
    let columns = inputs(120, &[(0.5, 3.0), (0.5, 3.0), (-1.0, 1.0)]);
    let noise: Vec<f64> = spread(120, 35).map(|u| u - 0.5).collect();
    let table = |law: fn(f64, f64, f64) -> f64, share: f64| -> Vec<f64> {
        (0..120)
            .map(|i| law(columns[0][i], columns[1][i], columns[2][i]) + share * noise[i])
            .collect()
    };
    let laws = [
        // A variable as it stands is a better model of one node than the mean.
        table(|a, _, _| a, 0.3),
        table(|a, b, c| 7.3 + 4.1 * (a * b).sin() - 2.2 * c / a, 0.5),
        table(|_, _, _| 0.0, 1.0),
    ];
    for y in &laws {
        for max_size in ["1", "4", "9", "20"] {
            let settings = [("max_size", max_size), ("max_generations", "10")];
            let report = run(&["a", "b", "c"], &columns, y, &settings);
            let limit: usize = max_size.parse().expect("a number");
            assert!(!report.front.is_empty(), "{max_size}");
            assert!(report.front.iter().all(|m| m.size <= limit), "{report}");
            let ordered = |index: usize| {
                let (a, b) = (&report.front[index - 1], &report.front[index]);
                a.size < b.size && a.loss > b.loss
            };
            let exempt = |index: usize| index == report.chosen || index == report.chosen + 1;
            for index in 1..report.front.len() {
                assert!(exempt(index) || ordered(index), "{report}");
            }
        }
    }
}

#[test]
fn few_rows_are_not_interpolated() {
    // Three inputs and noise only: on new rows, whatever was learned is worse than the mean.
    for n_rows in [10, 15, 24] {
        let columns = inputs(n_rows, &[(-1.0, 1.0); 3]);
        let y: Vec<f64> = spread(n_rows, 36).collect();
        let settings = [("max_generations", "40"), ("max_size", "50")];
        let report = run(&["a", "b", "c"], &columns, &y, &settings);
        assert!(report.best().r2 < 0.9, "{n_rows} rows: {report}");
    }
}

#[test]
fn nothing_explodes_beyond_the_rows() {
    // A line with one odd row at its end, which exponentials of exponentials would love to meet.
    let columns = inputs(60, &[(-1.0, 1.0), (-1.0, 1.0)]);
    let mut columns = columns;
    columns[0][7] = 3.0;
    let noise: Vec<f64> = spread(60, 9).collect();
    let mut y: Vec<f64> = (0..60)
        .map(|row| columns[0][row] + 0.3 * noise[row])
        .collect();
    y[7] = 9.0;
    let report = run(&["a", "b"], &columns, &y, &[("max_generations", "60")]);
    let beyond: Vec<f64> = (0..20).map(|i| 1.0 + 0.1 * f64::from(i)).collect();
    let middle = vec![0.0; 20];
    let said = report.predict(None, &[&beyond, &middle]).expect("predict");
    assert!(said.iter().all(|v| v.abs() < 1e3), "{report}");
}

#[test]
fn a_constant_is_chosen_where_nothing_surely_beats_it() {
    let columns = inputs(60, &[(-1.0, 1.0); 4]);
    let y: Vec<f64> = spread(60, 77).collect();
    let report = run(&["a", "b", "c", "d"], &columns, &y, &[]);
    assert_eq!(report.best().size, 1, "{report}");
}

#[test]
fn a_simple_number_does_not_spoil_the_fit() {
    // The slope is not 2/3, though that would be a shorter story on so few rows.
    let columns = inputs(24, &[(0.0, 1.0)]);
    let noise: Vec<f64> = spread(24, 5).collect();
    let y: Vec<f64> = (0..24)
        .map(|row| 0.55 * columns[0][row] + 0.2 * noise[row] + 0.13)
        .collect();
    let report = run(&["x"], &columns, &y, &[]);
    let line = report.front.iter().find(|m| m.size > 1).expect("a formula");
    let (mean_x, mean_y) = (
        columns[0].iter().sum::<f64>() / 24.0,
        y.iter().sum::<f64>() / 24.0,
    );
    let pairs = columns[0].iter().zip(&y);
    let (mut xy, mut xx, mut yy) = (0.0, 0.0, 0.0);
    for (x, y) in pairs {
        xy += (x - mean_x) * (y - mean_y);
        xx += (x - mean_x).powi(2);
        yy += (y - mean_y).powi(2);
    }
    let best = 1.0 - xy * xy / (xx * yy);
    // Three constants at most, four nats: the error grows by no more than e^(2*4/24).
    assert!(1.0 - line.r2 <= best * (8.0_f64 / 24.0).exp(), "{report}");
}

#[test]
fn noisy_tables_get_the_mean_of_formulas_and_laws_do_not() {
    let n_rows = 60;
    let columns = inputs(n_rows, &[(-1.0, 1.0); 3]);
    let fresh: Vec<Vec<f64>> = (50..53)
        .map(|j| spread(500, j).map(|u| 2.0 * u - 1.0).collect())
        .collect();
    let law = |c: &[Vec<f64>], row: usize| (2.0 * c[0][row]).sin() + c[1][row] * c[2][row];
    let names = ["a", "b", "c"];
    let refs: Vec<&[f64]> = fresh.iter().map(Vec::as_slice).collect();
    let with = |noise: f64, seed: &str, blend: &str| {
        let mut rng = Rng::new(9, 9);
        let noisy = |row| law(&columns, row) + noise * rng.normal();
        let y: Vec<f64> = (0..n_rows).map(noisy).collect();
        let settings = [
            ("random_state", seed),
            ("islands", "4"),
            ("max_generations", "8"),
            ("blend", blend),
        ];
        let report = run(&names, &columns, &y, &settings);
        let told = report.predict(None, &refs).expect("three columns");
        let off = |(row, value): (usize, &f64)| (law(&fresh, row) - value).powi(2);
        let error = told.iter().enumerate().map(off).sum::<f64>();
        (report, error)
    };
    // Some seeds find a formula that others would not make better.
    let (mut n_means, mut of_means, mut alone) = (0, 0.0, 0.0);
    for seed in ["1", "2", "3", "4", "5", "6"] {
        let (report, error) = with(0.3, seed, "true");
        assert!(report.best().size <= report.config.max_size, "{report}");
        if report.choice.contains("the mean of") {
            n_means += 1;
            of_means += error;
            alone += with(0.3, seed, "false").1;
        }
    }
    assert!((1..6).contains(&n_means), "{n_means}");
    assert!(of_means < 0.9 * alone, "{of_means} {alone}");
}

#[test]
fn trivial_tables_have_trivial_answers() {
    let x = [vec![1.0, 2.0, 3.0], vec![4.0, 4.0, 4.0]];
    let constant = run(&["a", "b"], &x, &[5.0, 5.0, 5.0], &[]);
    assert_eq!(constant.best().formula, "5");
    assert_eq!(
        (constant.stop, constant.best().r2),
        (StopReason::Trivial, 1.0)
    );
    assert!(
        constant
            .notes
            .iter()
            .any(|n| n.contains("target 'y' is constant")),
        "{constant}"
    );
    let one_row = run(&["a"], &[vec![2.0]], &[3.0], &[]);
    assert_eq!(one_row.best().formula, "3");
    let useless = run(&["b"], &x[1..], &[1.0, 2.0, 3.0], &[]);
    assert_eq!(useless.best().formula, "2");
    assert_eq!(
        useless.predict(None, &[&[0.0, 9.0]]).expect("values"),
        [2.0, 2.0]
    );
    let two_rows = run(&["a"], &[vec![1.0, 2.0]], &[1.0, 4.0], &[]);
    assert!(two_rows.best().loss.is_finite(), "{two_rows}");
}

#[test]
fn a_table_of_copies_zeros_and_extreme_magnitudes_is_fitted() {
    let x: Vec<f64> = (0..40).map(|i| 1e12 * (1.0 + f64::from(i))).collect();
    let tiny: Vec<f64> = (0..40).map(|i| 1e-9 * f64::from(i % 7)).collect();
    let y: Vec<f64> = x
        .iter()
        .zip(&tiny)
        .map(|(x, t)| 2e-3 * x * t - 7e5)
        .collect();
    let report = run(
        &["x", "copy of x", "zero", "t"],
        &[x.clone(), x.clone(), vec![0.0; 40], tiny.clone()],
        &y,
        &[],
    );
    assert!(1.0 - report.best().r2 < 1e-9, "{report}");
    assert_eq!(report.notes.len(), 2, "{report}");
    let again = report
        .predict(None, &[&x, &x, &vec![0.0; 40], &tiny])
        .expect("values");
    assert!(
        again
            .iter()
            .zip(&y)
            .all(|(a, b)| (a - b).abs() < 1e-3 * b.abs())
    );
}

#[test]
fn time_limits_hold_and_interrupts_return_what_there_is() {
    let columns = inputs(3000, &[(-3.0, 3.0); 5]);
    // With noise, so that no search is done before its time.
    let y: Vec<f64> = spread(3000, 6)
        .enumerate()
        .map(|(i, noise)| {
            (columns[0][i] * columns[1][i]).sin()
                + columns[2][i] * columns[3][i].exp()
                + columns[4][i].cos().abs()
                + noise
        })
        .collect();
    let refs: Vec<&[f64]> = columns.iter().map(Vec::as_slice).collect();
    let data = Observations::new(&["a", "b", "c", "d", "e"], &refs, "y", &y);
    let limited = config(&[("time_limit", "2"), ("max_generations", "none")]);
    let started = Instant::now();
    let report = fit(&data, &limited).expect("fit");
    // Generous: other processes share the machine while tests run.
    assert!(
        started.elapsed() < Duration::from_secs(6),
        "{:?}\n{report}",
        started.elapsed()
    );
    assert_eq!(report.stop, StopReason::Time);
    assert!(report.best().r2 > 0.0);

    let flag = Arc::new(AtomicBool::new(false));
    let endless = config(&[("time_limit", "600"), ("max_generations", "none")]);
    let mut calls = 0;
    let stopper = Arc::clone(&flag);
    let mut observer = |progress: &opcodon_sr::Progress| {
        calls += 1;
        assert!(!progress.front.is_empty() && progress.evaluations > 0);
        stopper.store(true, Ordering::Relaxed);
    };
    let hooks = Hooks {
        progress: Some(&mut observer),
        interrupt: Some(flag),
        ..Hooks::default()
    };
    let report = fit_with(&data, &endless, hooks).expect("fit");
    assert_eq!((report.stop, calls), (StopReason::Interrupted, 1));
    assert!(report.best().r2 > 0.0, "{report}");
}

#[test]
fn a_search_that_ends_early_is_judged_on_rows_it_lacked() {
    let columns = inputs(80, &[(-3.0, 3.0); 4]);
    let noise: Vec<f64> = spread(80, 9).collect();
    let refs: Vec<&[f64]> = columns.iter().map(Vec::as_slice).collect();
    let data = Observations::new(&["a", "b", "c", "d"], &refs, "y", &noise);
    let flag = Arc::new(AtomicBool::new(false));
    let stopper = Arc::clone(&flag);
    let mut observer = |_: &opcodon_sr::Progress| stopper.store(true, Ordering::Relaxed);
    let hooks = Hooks {
        progress: Some(&mut observer),
        interrupt: Some(flag),
        ..Hooks::default()
    };
    let endless = config(&[("time_limit", "600"), ("max_generations", "none")]);
    let report = fit_with(&data, &endless, hooks).expect("fit");
    assert_eq!(report.stop, StopReason::Interrupted);
    assert!(
        report.choice.contains("searches that lacked rows"),
        "{report}"
    );
    assert_eq!(report.best().expr.n_variables(), 0, "{report}");
}

#[test]
fn reports_are_stored_and_read_back() {
    let columns = inputs(60, &[(1.0, 3.0), (1.0, 3.0)]);
    let y: Vec<f64> = (0..60)
        .map(|i| columns[0][i] / columns[1][i] + 0.1)
        .collect();
    let settings = [("test_fraction", "0.2"), ("max_generations", "5")];
    let report = run(&["speed of x", "b"], &columns, &y, &settings);
    assert!(
        report.best().test_r2.expect("test rows") > 0.999,
        "{report}"
    );
    let text = report.to_json();
    assert_eq!(Report::from_json(&text).expect("report"), report);
    for (from, to, complaint) in [
        ("\"version\": 1", "\"version\": 99", "format version 99"),
        ("\"chosen\": ", "\"chosen\": 99", "is chosen of"),
        ("\"size\": 1,", "\"size\": 2,", "has 1 nodes, not 2"),
        ("\"speed of x\"", "\"other\"", "formula"),
        (
            "\"population_size\": 200",
            "\"population_size\": 1",
            "population_size",
        ),
        (
            "\"standard_errors\": [",
            "\"standard_errors\": [1, 1,",
            "standard errors",
        ),
        ("{", "[", "not a report"),
    ] {
        assert!(text.contains(from), "{from}");
        let damaged = text.replacen(from, to, 1);
        let error = Report::from_json(&damaged)
            .expect_err(complaint)
            .to_string();
        assert!(error.contains(complaint), "{complaint}: {error}");
    }
    let shown = report.to_string();
    assert!(
        shown.contains(">>") && shown.contains("`speed of x`"),
        "{shown}"
    );
}

#[test]
fn fits_say_how_sure_they_are() {
    // y = 3.7 a + b + noise: the constant's error and the margins are those of the textbook.
    let columns = inputs(200, &[(-1.0, 1.0), (-1.0, 1.0)]);
    let mut rng = Rng::new(5, 5);
    let y: Vec<f64> = (0..200)
        .map(|row| 3.7 * columns[0][row] + columns[1][row] + 0.05 * rng.normal())
        .collect();
    let settings = [("operators", "add,mul"), ("snap_constants", "false")];
    let report = run(&["a", "b"], &columns, &y, &settings);
    let line = report
        .front
        .iter()
        .find(|m| m.size <= 9 && m.r2 > 0.99)
        .expect("the line");
    let slopes = line.constants().into_iter();
    let (_, error) = slopes
        .filter_map(|(value, error)| Some((value, error?)))
        .find(|(value, _)| (value - 3.7).abs() < 0.05)
        .expect("the slope");
    let square_sum: f64 = columns[0].iter().map(|a| a * a).sum();
    let textbook = 0.05 / square_sum.sqrt();
    assert!((0.7..1.4).contains(&(error / textbook)), "{error}");
    // Nine of ten normal errors are within 1.64 deviations.
    let margin = report.margin(None, 0.9).expect("enough rows");
    assert!((0.06..0.12).contains(&margin), "{margin}");
    let refused = report
        .margin(None, 0.7)
        .expect_err("not a level")
        .to_string();
    assert!(refused.contains("take one of 0.5, 0.68"), "{refused}");
}

#[test]
fn predictions_check_their_columns() {
    let columns = inputs(40, &[(1.0, 3.0), (1.0, 3.0)]);
    let y: Vec<f64> = (0..40).map(|i| columns[0][i] * columns[1][i]).collect();
    let report = run(&["a", "b"], &columns, &y, &[("max_generations", "2")]);
    let values = report
        .predict(None, &[&[2.0, 3.0], &[5.0, 7.0]])
        .expect("values");
    assert!((values[0] - 10.0).abs() < 1e-9 && (values[1] - 21.0).abs() < 1e-9);
    assert_eq!(
        report.predict(None, &[&[], &[]]).expect("no rows"),
        [0.0; 0]
    );
    for (columns, complaint) in [
        (
            &[&[1.0][..]][..],
            "needs 2 input columns (a, b), but 1 were given",
        ),
        (
            &[&[1.0][..], &[1.0, 2.0][..]],
            "column 'b' has 2 rows, but the target has 1",
        ),
    ] {
        let error = report
            .predict(None, columns)
            .expect_err(complaint)
            .to_string();
        assert!(error.contains(complaint), "{error}");
    }
    assert!(matches!(
        report.predict(Some(99), &[&[], &[]]),
        Err(SrError::ModelIndex { .. })
    ));
}

#[test]
fn parameters_are_read_checked_and_written() {
    let mut config = Config::default();
    for parameter in Config::PARAMETERS {
        let text = parameter.default_text();
        config.set(parameter.name, &text).expect(parameter.name);
        assert_eq!(config.get(parameter.name).expect("known"), text);
        assert!(!parameter.doc.is_empty() && !parameter.kind.is_empty());
    }
    assert_eq!(config, Config::default());
    config
        .set("operators", "+, sub, mul, sin, ln")
        .expect("operators");
    assert_eq!(
        config.get("operators").expect("known"),
        "add,sub,mul,sin,log"
    );
    let json = serde_json::to_string(&config).expect("json");
    assert_eq!(
        serde_json::from_str::<Config>(&json).expect("config"),
        config
    );
    for (name, text, complaint) in [
        (
            "max_siz",
            "9",
            "no parameter 'max_siz' (did you mean 'max_size'?)",
        ),
        ("max_size", "nine", "'nine' is not a whole number"),
        ("max_size", "0", "out of range, accepted: 1 to 1000"),
        ("time_limit", "-1", "more than 0"),
        ("loss", "mape", "neither a known loss nor a formula"),
        (
            "operators",
            "add,sinn",
            "no operator 'sinn' (did you mean 'sin'?)",
        ),
        ("random_state", "-1", "is not a whole number or none"),
        ("seeds", "maybe", "is not true or false"),
        ("preset", "slow", "one of: auto, fast, science, accuracy"),
        ("max_memory", "2 cows", "is not a size such as 500MB or 2GB"),
    ] {
        let error = config.set(name, text).expect_err(complaint).to_string();
        assert!(error.contains(complaint), "{error}");
    }
    for (settings, complaint) in [
        (&[("time_limit", "none")][..], "would never end"),
        (&[("n_jobs", "0")], "0 threads"),
        (
            &[("validation_fraction", "0.6"), ("test_fraction", "0.6")],
            "no rows to learn from",
        ),
        (
            &[("population_size", "8"), ("islands", "4")],
            "at least 4 formulas",
        ),
    ] {
        let mut config = Config::default();
        for (name, value) in settings {
            config.set(name, value).expect(name);
        }
        let error = config.validate().expect_err(complaint).to_string();
        assert!(error.contains(complaint), "{error}");
    }
}

#[test]
fn presets_set_what_is_not_set_after_them() {
    // What is set, and what it comes to.
    type Texts<'a> = &'a [(&'a str, &'a str)];
    let rows: &[(Texts<'_>, Texts<'_>)] = &[
        (
            &[("preset", "fast")],
            &[("time_limit", "10"), ("max_size", "30")],
        ),
        (
            &[("preset", "science"), ("time_limit", "5")],
            &[("time_limit", "5"), ("model_selection", "mdl")],
        ),
        (
            &[("max_size", "9"), ("preset", "accuracy")],
            &[("max_size", "80"), ("max_depth", "15")],
        ),
        (
            &[("preset", "accuracy"), ("preset", "auto")],
            &[("time_limit", "30"), ("max_size", "50")],
        ),
    ];
    for (given, expected) in rows {
        let mut config = Config::default();
        for (name, text) in *given {
            config.set(name, text).expect(name);
        }
        for (name, text) in *expected {
            assert_eq!(config.get(name).expect(name), *text, "{given:?}: {name}");
        }
        config.validate().expect("what presets say can be run");
    }
}

#[test]
fn with_little_memory_shapes_are_forgotten_sooner() {
    let columns = inputs(200, &[(0.5, 3.0), (0.5, 3.0)]);
    let y: Vec<f64> = (0..200)
        .map(|row| (columns[0][row] * columns[1][row]).sin() / (columns[0][row] + 0.3))
        .collect();
    let told = |settings: &[(&str, &str)]| {
        let report = run(&["a", "b"], &columns, &y, settings);
        let front: Vec<String> = report.front.iter().map(|m| m.formula.clone()).collect();
        (report.evaluations, front)
    };
    let little = told(&[("max_memory", "2.7MB"), ("n_jobs", "1")]);
    assert_eq!(little, told(&[("max_memory", "2.7MB"), ("n_jobs", "2")]));
    // What is forgotten sooner is evaluated again.
    assert!(little.0 > told(&[("max_memory", "none")]).0);
    let refs: Vec<&[f64]> = columns.iter().map(Vec::as_slice).collect();
    let data = Observations::new(&["a", "b"], &refs, "y", &y);
    let error = fit(&data, &config(&[("max_memory", "100KB")])).expect_err("refused");
    assert!(matches!(error, SrError::Memory { .. }), "{error}");
}

#[test]
fn what_was_visited_can_be_asked_for() {
    let columns = inputs(60, &[(0.5, 3.0), (0.5, 3.0)]);
    let y: Vec<f64> = (0..60)
        .map(|row| (columns[0][row] * columns[1][row]).sin() + columns[0][row])
        .collect();
    let told = |archive_size: &str| {
        let settings = [("archive_size", archive_size), ("max_size", "20")];
        run(&["a", "b"], &columns, &y, &settings)
    };
    assert!(told("0").visited.is_empty());
    let report = told("100");
    let visited = &report.visited;
    assert!((60..=100).contains(&visited.len()), "{}", visited.len());
    let mut formulas: Vec<&str> = visited.iter().map(|v| v.formula.as_str()).collect();
    formulas.sort_unstable();
    formulas.dedup();
    assert_eq!(formulas.len(), visited.len(), "each once");
    for seen in visited {
        let expr = opcodon_expr::parse(&seen.formula, Some(&["a", "b"])).expect("a formula");
        let columns: Vec<&[f64]> = columns.iter().map(Vec::as_slice).collect();
        let values = expr.expr.eval_columns(&columns);
        let mean = y.iter().sum::<f64>() / 60.0;
        let rss: f64 = values.iter().zip(&y).map(|(v, y)| (v - y).powi(2)).sum();
        let tss: f64 = y.iter().map(|y| (y - mean).powi(2)).sum();
        assert!((1.0 - rss / tss - seen.r2).abs() < 1e-6, "{}", seen.formula);
        assert_eq!(expr.expr.len(), seen.size);
    }
    let back = Report::from_json(&report.to_json()).expect("report");
    assert_eq!(back.visited, report.visited);

    // What the search starts from has been visited too.
    let seeded = [("archive_size", "100"), ("seeds", "true")];
    let product: Vec<f64> = (0..60)
        .map(|row| columns[0][row] * columns[1][row])
        .collect();
    let y: Vec<f64> = product.iter().map(|p| p.sin()).collect();
    let found = run(&["a", "b"], &columns, &y, &seeded).visited;
    let exact = |seen: &&opcodon_sr::FrontEntry| seen.size <= 9 && seen.r2 > 0.999_999;
    assert!(
        found
            .iter()
            .find(exact)
            .is_some_and(|seen| seen.formula.contains("sin"))
    );
}

#[test]
fn weights_and_operators_are_honoured() {
    let columns = inputs(80, &[(1.0, 3.0)]);
    // Rows of weight 0 lie elsewhere.
    let y: Vec<f64> = (0..80)
        .map(|i| {
            if i % 4 == 0 {
                50.0
            } else {
                3.0 * columns[0][i] + 1.0
            }
        })
        .collect();
    let weights: Vec<f64> = (0..80)
        .map(|i| if i % 4 == 0 { 0.0 } else { 2.0 })
        .collect();
    let refs: Vec<&[f64]> = columns.iter().map(Vec::as_slice).collect();
    let data = Observations::new(&["x"], &refs, "y", &y).with_weights(&weights);
    let settings = [("operators", "add,mul"), ("max_generations", "3")];
    let report = fit(&data, &config(&settings)).expect("fit");
    assert_eq!(report.best().formula, "3*x + 1", "{report}");
    let wavy: Vec<f64> = columns[0].iter().map(|x| (3.0 * x).sin()).collect();
    let report = run(&["x"], &columns, &wavy, &settings);
    for model in &report.front {
        assert!(
            !["sin", "cos", "/", "sqrt", "exp"]
                .iter()
                .any(|f| model.formula.contains(f)),
            "{report}"
        );
    }
}
