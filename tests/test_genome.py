"""Genomes: machine code that is bred, verified, drawn and stored."""

import json
import pickle
import random
import re
import xml.etree.ElementTree

import numpy as np
import pytest

import opcodon
from opcodon.genome import Evaluator, Genome, LinearCode, Repertoire, TreeCode

TIERS = ["avx2", "avx512"]
ALL = ["add", "sub", "mul", "div", "sqrt", "neg", "abs", "pdiv", "min", "max"]
X = np.random.default_rng(1).normal(size=(37, 3))
KINDS = {
    "tree": lambda repertoire, seed: TreeCode.random(repertoire, 5, seed=seed),
    "linear": lambda repertoire, seed: LinearCode.random(repertoire, 24, seed=seed),
}


def runs(tier="avx2"):
    """Whether this processor has the tier."""
    try:
        TreeCode.from_expression("x0", tier=tier).evaluate([[1.0]])
    except RuntimeError:
        return False
    return True


needs_avx2 = pytest.mark.skipif(not runs(), reason="genomes need AVX2 to run")


@pytest.fixture(params=TIERS)
def tier(request):
    return request.param


@pytest.fixture(params=list(KINDS))
def kind(request):
    return request.param


def population(kind, tier, n=40, operators=None):
    repertoire = Repertoire(3, operators or ALL, tier=tier)
    return [KINDS[kind](repertoire, seed) for seed in range(n)]


def test_expressions_come_back(tier):
    for text in ["(x0 + 1)*x1", "min(x0, -x1) - sqrt(abs(x2))", "pdiv(x0, 2.5)/x1", "x1", "0.1"]:
        expression = opcodon.parse(text, ["x0", "x1", "x2"])
        for cls in TreeCode, LinearCode:
            genome = cls.from_expression(expression, tier=tier)
            assert genome.to_expression() == expression
            assert str(genome) == text
            assert genome.tier == tier
            assert cls.from_expression(text, ["x0", "x1", "x2"], tier=tier) == genome
            assert len(genome.code) == 8 * len(genome)
    assert len(LinearCode.from_expression("x0 + 1")) < len(TreeCode.from_expression("x0 + 1"))


def test_values_are_those_of_the_formula(kind, tier):
    if not runs(tier):
        pytest.skip(f"this processor has no {tier}")
    genomes = population(kind, tier)
    for genome in genomes:
        values = genome.evaluate(X)
        expected = opcodon.Population([genome.to_expression()]).evaluate(X)[0]
        np.testing.assert_array_equal(values, expected)
    losses = Evaluator(X, X[:, 0]).losses(genomes)
    expected = [np.mean((g.evaluate(X) - X[:, 0]) ** 2) for g in genomes]
    np.testing.assert_allclose(losses, expected, rtol=1e-12)
    assert [g.loss(X, X[:, 0]) for g in genomes] == pytest.approx(list(losses), nan_ok=True)


def test_crossover_says_what_it_did(kind, tier):
    first, second, *_ = population(kind, tier)
    n_spliced = 0
    for seed in range(100):
        result = first.crossover(second, seed=seed)
        assert result.child == first.crossover(second, seed=seed).child
        if result.cut is None:
            assert result.child == first
            continue
        n_spliced += 1
        (begin, end), (start, stop) = result.cut, result.donor
        assert len(result.child) == len(first) - (end - begin) + (stop - start)
        if kind == "linear":
            again = first.splice(result.cut, second, result.donor)
        else:
            node, donor = (
                [mark[:2] for mark in genome.marks].index(slots)
                for genome, slots in [(first, result.cut), (second, result.donor)]
            )
            again = first.splice(node, second, donor)
        assert again == result.child
    assert n_spliced > 50


def test_mutation_changes_and_keeps_the_limits(kind, tier):
    genome = population(kind, tier)[0]
    mutants = [genome.mutate(seed=seed, max_slots=30) for seed in range(100)]
    assert len(set(mutants)) > 20
    assert max(len(mutant) for mutant in mutants) <= 30
    only = Repertoire(3, ["neg"], tier=tier)
    grown = genome
    for seed in range(400):
        grown = grown.mutate(only, seed=seed, max_slots=64)
    assert "neg" in {gene.operation for gene in grown.genes}


def test_a_generation_is_bred_at_once(kind, tier):
    mothers, fathers = population(kind, tier, 60), population(kind, tier, 60)[::-1]
    repertoire = Repertoire(3, ALL, tier=tier)
    children = repertoire.breed(mothers, fathers, max_slots=30, seed=4)
    assert children == repertoire.breed(mothers, fathers, max_slots=30, seed=4)
    assert children != repertoire.breed(mothers, fathers, max_slots=30, seed=5)
    for mother, child in zip(mothers, children, strict=True):
        assert type(child) is type(mother)
        assert len(child) <= max(30, len(mother))
        # The verifier accepts it.
        assert type(child).from_json(child.to_json()) == child
    new = sum(child not in mothers for child in children)
    assert new > 30
    same = repertoire.breed(mothers, mothers, crossover=1, homologous=1, mutation=0)
    assert kind == "tree" or same == mothers
    both = repertoire.breed(mothers[:1] * 400, fathers[:1] * 400, crossover=1, mutation=0)
    one = repertoire.breed(mothers[:1] * 400, fathers[:1] * 400, crossover=0)
    assert len(set(both)) > 10
    assert len(set(one)) > 10
    assert repertoire.breed([], []) == []


def test_random_state_of_python_is_enough():
    opcodon.deap.seed(3)
    first = [g.mutate() for g in population("linear", "avx512", 5)]
    opcodon.deap.seed(3)
    assert first == [g.mutate() for g in population("linear", "avx512", 5)]


def test_introns_are_marked_and_stripped(tier):
    repertoire = Repertoire(["mass", "speed"], ALL, tier=tier)
    n_introns = 0
    for seed in range(50):
        genome = LinearCode.random(repertoire, 30, seed=seed)
        assert len(genome.effective) == len(genome)
        stripped = genome.strip()
        assert stripped.to_expression() == genome.to_expression()
        n_introns += len(genome) - len(stripped)
        listing = genome.disassemble()
        assert len(listing.instructions) == len(genome)
        marked = [i.note.endswith("intron") for i in listing.instructions if i.note]
        assert marked == [not gene.effective for gene in genome.genes]
    assert n_introns > 500


def test_a_listing_names_nodes():
    tree = TreeCode.from_expression("(mass + 1) * speed", tier="avx512")
    notes = [i.note.split() for i in tree.disassemble().instructions]
    assert [" ".join(note) for note in notes] == [
        "r0 = mass node 0: [0, 1)",
        "r1 = 1 node 1: [1, 2)",
        "r0 = r0 + r1 node 2: [0, 3)",
        "r1 = speed node 3: [3, 4)",
        "r0 = r0*r1 node 4: [0, 5)",
    ]
    assert [mark[:3] for mark in tree.marks] == [
        (0, 1, 0),
        (1, 2, 0),
        (0, 3, 2),
        (3, 4, 0),
        (0, 5, 2),
    ]


@needs_avx2
def test_bits():
    repertoire = Repertoire(3, boolean=True)
    bits = X > 0
    for kind, make in KINDS.items():
        for seed in range(20):
            genome = make(repertoire, seed)
            formula = str(genome)
            # What `less` means is what numpy's < means on truth values.
            values = eval(formula, {f"x{k}": bits[:, k] for k in range(3)})
            np.testing.assert_array_equal(genome.evaluate(bits), values != 0)
            wrong = np.mean(genome.evaluate(bits) != bits[:, 0])
            assert genome.loss(bits, bits[:, 0]) == pytest.approx(wrong)
            assert pickle.loads(pickle.dumps(genome)) == genome
            if kind == "tree" and genome.is_boolean:
                with pytest.raises(ValueError, match="works on bits"):
                    genome.to_expression()
                with pytest.raises(TypeError, match="X must be of dtype bool"):
                    genome.evaluate(X)


@needs_avx2
def test_integers():
    rng = np.random.default_rng(4)
    numbers = rng.integers(-(2**63), 2**63 - 1, size=(70, 3), dtype=np.int64, endpoint=True)
    repertoire = Repertoire(3, ["iadd", "isub", "and", "or", "xor"], integer=True)
    assert (repertoire.is_integer, repertoire.is_boolean) == (True, False)
    seen = 0
    for make in KINDS.values():
        for seed in range(30):
            genome = make(repertoire, seed)
            if not genome.is_integer:
                continue
            seen += 1
            # What numpy computes of int64 wraps around, too.
            with np.errstate(over="ignore"):
                columns = {f"x{k}": numbers[:, k] for k in range(3)}
                literals = re.sub(r"0x[0-9a-f]+", lambda m: f"wrapped({m[0]})", str(genome))
                wrapped = {"wrapped": lambda n: np.uint64(n).astype(np.int64)}
                expected = eval(literals, columns | wrapped)
            found = genome.evaluate(numbers)
            assert found.dtype == np.int64
            np.testing.assert_array_equal(found, np.broadcast_to(expected, 70))
            assert pickle.loads(pickle.dumps(genome)) == genome
            wrong = np.unpackbits((found ^ numbers[:, 0]).view(np.uint8)).mean()
            assert genome.loss(numbers, numbers[:, 0]) == pytest.approx(wrong)
            evaluate = Evaluator(numbers, numbers[:, 0], integer=True)
            assert evaluate(genome) == pytest.approx(wrong)
            child = genome.mutate(seed=seed)
            assert child.evaluate(numbers).shape == (70,)
    assert seen > 30
    trees = (TreeCode.random(repertoire, max_depth=3, seed=seed) for seed in range(99))
    tree = next(tree for tree in trees if tree.is_integer)
    with pytest.raises(TypeError, match="X must be of an integer dtype"):
        tree.evaluate(X)
    with pytest.raises(TypeError, match="X must be of an integer dtype, not float64"):
        Evaluator(X, X[:, 0], integer=True)
    with pytest.raises(TypeError, match="works on integers, but X is of dtype bool"):
        tree.evaluate(X > 0)
    with pytest.raises(TypeError, match="not both"):
        Repertoire(3, boolean=True, integer=True)
    with pytest.raises(ValueError, match="there are and, or, xor, less, if, iadd"):
        Repertoire(3, ["add"], integer=True)
    # Numbers without a fraction stay numbers.
    half = TreeCode.from_expression("x0 / 2")
    assert half.evaluate(np.array([[3]])).tolist() == [1.5]


def test_pictures_are_well_formed(kind, tier):
    a, b, *_ = population(kind, tier)
    for svg in [a.svg(), a.svg(width=1), a.crossover(b, seed=1).svg()]:
        root = xml.etree.ElementTree.fromstring(svg)
        width, height = float(root.get("width")), float(root.get("height"))
        assert root.get("viewBox") == f"0 0 {width:.0f} {height:.0f}"
        for box in root.iter("{http://www.w3.org/2000/svg}rect"):
            x, y = (float(box.get(k, "0")) for k in "xy")
            assert x >= 0
            assert x + float(box.get("width")) <= width
            assert y + float(box.get("height")) <= height
    with pytest.raises(ValueError, match="at least one slot"):
        a.svg(width=0)
    odd = opcodon.parse("x", ["x"])
    assert "a&lt;b" in TreeCode.from_bytes(TreeCode.from_expression(odd).code, [], ["a<b"]).svg()


def test_every_byte_of_a_tree_is_drawn():
    tree = TreeCode.from_expression("(x0 + 1) * min(x1, 2)", tier="avx512")
    text = "".join(xml.etree.ElementTree.fromstring(tree.svg()).itertext())
    for slot in range(len(tree)):
        octets = tree.code[8 * slot : 8 * slot + 8]
        assert octets[:4].hex(" ") in text
        assert octets[4:].hex(" ") in text


def test_pickles_and_files(kind, tier, tmp_path):
    for genome in population(kind, tier, 10):
        assert pickle.loads(pickle.dumps(genome)) == genome
        path = tmp_path / "genome.json"
        genome.save(path)
        assert Genome.load(path) == genome
        assert type(genome).load(str(path)) == genome
        again = type(genome).from_bytes(genome.code, genome.constants, genome.variables, tier=tier)
        assert again == genome


def test_names_survive():
    genome = TreeCode.from_expression("mass * speed")
    assert Genome.from_json(genome.to_json()).variables == ("mass", "speed")
    assert genome.crossover(genome, seed=1).child.variables == ("mass", "speed")


def test_damaged_files_are_refused_with_the_reason(tmp_path):
    genome = TreeCode.from_expression("x0 + 2.5", tier="avx512")
    good = genome.to_json()
    for old, new, reason in [
        (good, "", "not a genome: EOF"),
        (good, good[:-9], "not a genome: "),
        ("58c1", "58c0", "slot 2 breaks the order of a tree"),
        ("3e3e62f1fd4858c1", "0f0b0f0b0f0b0f0b", "slot 2 holds 0f 0b 0f 0b 0f 0b 0f 0b"),
        ("2.5", "two", 'constant 0 is "two"'),
        ('["x0"]', '["x0","x1"]', "2 names for 1 columns"),
        ('"names":["x0"]', '"nomes":[]', "no `names`"),
        ("avx512", "avx2", "no allowed instruction"),
        ('"marks":[[0,1,0]', '"marks":[[0,9,0]', "mark 0 does not agree"),
        ('"version":1', '"version":7', "version 7, but this program reads version 1"),
    ]:
        assert old in good
        path = tmp_path / "bad.json"
        path.write_text(good.replace(old, new))
        with pytest.raises(ValueError, match=r"bad\.json: ") as caught:
            Genome.load(path)
        assert reason in str(caught.value)
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ValueError, match=r"bad\.json"):
        Genome.load(path)
    with pytest.raises(FileNotFoundError, match="nowhere"):
        Genome.load(tmp_path / "nowhere.json")
    with pytest.raises(ValueError, match="it is a TreeCode, not a LinearCode"):
        LinearCode.from_json(good)


def test_flipped_bits_are_refused_or_give_another_genome(kind, tier):
    """What passes is a genome that can be run; everything else says which slot is wrong."""
    genome = population(kind, tier)[3]
    rng = random.Random(5)
    n_refused = 0
    for _ in range(2000):
        code = bytearray(genome.code)
        place = rng.randrange(8 * len(code))
        code[place // 8] ^= 1 << place % 8
        try:
            mutant = type(genome).from_bytes(
                bytes(code), genome.constants, genome.variables, tier=tier
            )
        except ValueError:
            n_refused += 1
            continue
        mutant.to_json()
        if runs(tier):
            mutant.evaluate(X)
    assert 1000 < n_refused < 2000


@pytest.mark.parametrize(
    ("attempt", "error", "reason"),
    [
        (lambda: TreeCode.from_bytes(b"\x90" * 8, [], ["x"]), ValueError, "slot 0 holds 90 90"),
        (lambda: TreeCode.from_bytes(b"\x90" * 7, [], ["x"]), ValueError, "7 bytes are no whole"),
        (lambda: TreeCode.from_bytes(b"", [], ["x"]), ValueError, "it has no slots"),
        (lambda: TreeCode.from_expression("sin(x)"), ValueError, "means the operator sin"),
        (lambda: TreeCode.from_expression("x +"), opcodon.ParseError, "after '\\+'|expected"),
        (lambda: TreeCode.from_expression(3), TypeError, "Expression or text is needed"),
        (lambda: TreeCode.from_expression("x", tier="neon"), ValueError, "unknown tier"),
        (lambda: Repertoire(2, ["sin"]), ValueError, 'called "sin"; there are add, sub'),
        (lambda: Repertoire(2, ["add"], boolean=True), ValueError, "there are and, or, xor, less"),
        (lambda: Repertoire(0), ValueError, "number of columns is 0"),
        (lambda: Repertoire("ab"), TypeError, "not one text"),
        (lambda: Repertoire(2, registers=99), ValueError, "number of registers is 99"),
        (lambda: Evaluator([[1.0]], [np.nan]), ValueError, "y must be finite"),
        (lambda: Evaluator(np.ones((0, 1)), []), ValueError, "no rows"),
        (lambda: Evaluator([1.0], [1.0]), ValueError, "X has shape"),
        (lambda: Evaluator([[True]], [1.0]), TypeError, "both be of dtype bool"),
    ],
)
def test_mistakes_are_named(attempt, error, reason):
    with pytest.raises(error, match=reason):
        attempt()


def test_genomes_that_do_not_mix():
    tree, linear = population("tree", "avx512")[0], population("linear", "avx512")[0]
    with pytest.raises(TypeError, match="have no child"):
        tree.crossover(linear)
    with pytest.raises(ValueError, match="3 columns are needed"):
        tree.crossover(TreeCode.from_expression("x0", tier="avx512"))
    with pytest.raises(ValueError, match="avx512 and 3 columns are needed"):
        tree.mutate(Repertoire(3, tier="avx2"))
    repertoire = Repertoire(3, tier="avx512")
    with pytest.raises(TypeError, match="have no child"):
        repertoire.breed([tree], [linear])
    with pytest.raises(ValueError, match="1 mothers and 2 fathers are no pairs"):
        repertoire.breed([tree], [tree, tree])
    with pytest.raises(ValueError, match=r"crossover is a probability, not 1\.5"):
        repertoire.breed([tree], [tree], crossover=1.5)
    with pytest.raises(ValueError, match="is for tier avx2 and 3 columns, but tier avx512"):
        Repertoire(3, tier="avx2").breed([tree], [tree])
    with pytest.raises(ValueError, match="number of a node is 99"):
        tree.splice(99, tree, 0)
    with pytest.raises(ValueError, match="cannot be cut at slot 2"):
        linear.splice((0, 1), linear, (5, 2))
    with pytest.raises(ValueError, match="2 constants were given"):
        TreeCode.from_expression("x0").with_constants([1, 2])


def test_stored_form_is_json():
    stored = json.loads(LinearCode.from_expression("x0 + 1", tier="avx512").to_json())
    assert stored["genome"]["kind"] == "linear"
    assert stored["genome"]["constants"] == ["1.0"]
