"""Strings: f-strings, methods, iteration, formatting."""
# The language as people write it.
# ruff: noqa: F541
# ruff: noqa: SIM102, UP031, UP032

from cases import case


@case((3, 2.5), ("a", None), (-1, 1e100))
def f_strings(a, b):
    return f"{a} and {b!r:>8}", f"{a}{b}", f"{a=}", f"{{}}", f"{a!s:*^{5}}", f"no parts"


@case((3,), (0,))
def f_string_order(n):
    log = [n]
    return f"{log} {log.append(1)} {log} {log[0] + 1:0{n + 2}d}"


@case(("Hello World",), ("",))
def methods(s):
    return (
        s.upper(),
        s.split(),
        s.replace("o", "0"),
        s[::-1],
        "-".join(s),
        s.find("W"),
        s.strip("H"),
    )


@case(("level",), ("python",), ("",))
def palindrome(s):
    i, j = 0, len(s) - 1
    while i < j:
        if s[i] != s[j]:
            return False
        i += 1
        j -= 1
    return True


@case(("abc", 3), ("XYZ", 25), ("é!", 1))
def caesar(text, k):
    out = ""
    for ch in text:
        if "a" <= ch <= "z":
            out += chr((ord(ch) - ord("a") + k) % 26 + ord("a"))
        elif ch.isupper():
            out += chr((ord(ch) - 65 + k) % 26 + 65)
        else:
            out += ch
    return out


@case((255,), (0,), (-3,))
def digits(n):
    return str(n), hex(n), bin(n), int(str(n)), "%d|%5.1f" % (n, n), "{:>6}|{}".format(n, n)


@case(("a,b;c",), ("",))
def tokens(text):
    out, word = [], ""
    for ch in text + ";":
        if ch in ",;":
            if word:
                out.append(word)
            word = ""
        else:
            word += ch
    return out


@case(("aaabbc",), ("",), ("z",))
def run_length(s):
    if not s:
        return []
    out = []
    last, n = s[0], 0
    for ch in s:
        if ch == last:
            n += 1
        else:
            out.append((last, n))
            last, n = ch, 1
    out.append((last, n))
    return "".join(f"{c}{k}" for c, k in out)


@case((3,))
def prints(n):
    for i in range(n):
        print(i, f"{i:02d}", sep="-", end=";")
    print()


@case(("x",), (3,))
def concatenation(x):
    s = "a"
    s += x
    return s * 2


@case(("ab\ncd\t\\é\u2028😀",))
def special_characters(s):
    return s == "ab\ncd\t\\é\u2028😀", "\x00" + s, len("\ud800"), s.encode()


@case(("(a[b]{c})",), ("(]",), ("((",))
def balanced(text):
    pairs = {")": "(", "]": "[", "}": "{"}
    stack = []
    for ch in text:
        if ch in pairs.values():
            stack.append(ch)
        elif ch in pairs:
            if not stack or stack.pop() != pairs[ch]:
                return False
    return not stack
