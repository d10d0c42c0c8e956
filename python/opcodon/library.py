"""Shared libraries and object files, loaded into memory and called."""

from __future__ import annotations

import functools
import html
import os
from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Literal, NamedTuple

from opcodon import _core
from opcodon.machine import _signature

if TYPE_CHECKING:
    from types import TracebackType

    from typing_extensions import Buffer, Self

    from opcodon._core import MachineFunction
    from opcodon.machine import Abi, Signature

__all__ = ["Library", "Symbol", "link", "load_library"]

Loader = Literal["auto", "own", "system"]
Dependencies = Literal["system", "process", "own"]
Kind = Literal["function", "ifunc", "object", "tls", "other"]


class Symbol(NamedTuple):
    """A name that a library offers.

    Attributes
    ----------
    name : str
        The name.
    kind : {"function", "ifunc", "object", "tls", "other"}
        What it stands for. An ``ifunc`` is a function that comes in several versions for several
        processors; a ``tls`` variable exists once a thread.
    size : int
        Its size in bytes; 0 if the library does not say.
    version : str or None
        Its version, if the library has versions.
    """

    name: str
    kind: Kind
    size: int
    version: str | None = None


class Library:
    """A library in memory; make it with `load_library` or `link`.

    It is closed at the end of a ``with`` block, by `close`, or when neither it nor a function of it
    is left.

    Attributes
    ----------
    name : str
        The name it was loaded by.
    loader : {"own", "system"}
        Who loaded it: Opcodon's loader or the system's.
    reason : str or None
        Why the system's loader was needed, if Opcodon's was asked first.
    files : tuple of str
        The files that Opcodon's loader mapped, dependencies behind the library itself.
    closed : bool
        Whether it was closed.
    symbols : mapping of str to Symbol
        The names it offers. A name alone is its newest version; older ones are there as
        ``name@version``.

    Examples
    --------
    >>> import opcodon
    >>> with opcodon.load_library("libm.so.6") as libm:
    ...     libm.function("cos", "f64(f64)")(0.0)
    1.0
    """

    __slots__ = ("__dict__", "__weakref__", "_library")

    def __init__(self, library: _core.LoadedLibrary) -> None:
        self._library = library

    @property
    def name(self) -> str:
        """The name it was loaded by."""
        return self._library.name

    @property
    def loader(self) -> Literal["own", "system"]:
        """Who loaded it."""
        return self._library.loader

    @property
    def reason(self) -> str | None:
        """Why the system's loader was needed, if Opcodon's was asked first."""
        return self._library.reason

    @property
    def files(self) -> tuple[str, ...]:
        """The files that were mapped with it by the same loader, itself first."""
        return tuple(self._library.files)

    @property
    def closed(self) -> bool:
        """Whether it was closed."""
        return self._library.closed

    @functools.cached_property
    def symbols(self) -> Mapping[str, Symbol]:
        """The names it offers."""
        rows = self._library.symbols()
        return MappingProxyType(
            {key: Symbol(name, kind, size, version) for key, name, version, kind, size in rows}
        )

    def function(
        self,
        name: str,
        signature: Signature,
        abi: Abi | None = None,
        *,
        guard: bool = False,
        time_limit: float = 10.0,
        memory_limit: int | None = None,
    ) -> MachineFunction:
        """Give a function of the library.

        The library stays in memory as long as the function lives. A wrong signature can end the
        process, as with `opcodon.function`.

        Parameters
        ----------
        name : str
            Its name; ``name@version`` for another version than the newest.
        signature : str or callable
            Result and argument types, such as ``"f64(f64)"``, or the prototype from a C header; as
            for `opcodon.function`.
        abi : {"sysv", "win64"}, optional
            Its calling convention, by default the one of this machine.
        guard, time_limit, memory_limit
            As for `opcodon.function`; what a guarded call changes in the library is gone after it.

        Returns
        -------
        MachineFunction
            An object to call like a function.

        Raises
        ------
        LookupError
            If there is no such symbol.
        TypeError
            If the symbol is data.
        ParseError
            If the signature does not parse.
        ValueError
            If the library is closed.

        Examples
        --------
        >>> import opcodon
        >>> libm = opcodon.load_library("libm.so.6")
        >>> hypot = libm.function("hypot", "double hypot(double x, double y);")
        >>> hypot(3.0, 4.0)
        5.0
        """
        text, returns, _ = _signature(signature)
        limits = (time_limit, memory_limit) if guard else None
        return self._library.function(name, text, abi, returns, limits)

    def address(self, name: str) -> int:
        """Give the address of a symbol, code or data, as long as the library is open.

        Parameters
        ----------
        name : str
            Its name, as for `function`.

        Returns
        -------
        int
            The address.

        Raises
        ------
        LookupError
            If there is no such symbol.
        TypeError
            If every thread has its own.
        ValueError
            If the library is closed.
        """
        return self._library.address(name)

    def close(self) -> None:
        """Run the library's finalisers and free its memory.

        Its functions cannot be called any more; memory is freed when the last of them is gone. No
        other thread may be running in it. Closing twice does nothing.
        """
        self._library.close()

    def __enter__(self) -> Self:
        if self.closed:
            message = f"{self.name}: the library is closed"
            raise ValueError(message)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        state = "closed" if self.closed else f"loaded by {self.loader} loader"
        return f"<Library {self.name}: {len(self.symbols)} symbols, {state}>"

    def _repr_html_(self) -> str:
        shown = 200
        symbols = list(self.symbols.values())
        rows = "".join(
            f'<tr><td class="source">{html.escape(s.name)}</td><td class="text">{s.kind}</td>'
            f'<td>{s.size or ""}</td><td class="text">{html.escape(s.version or "")}</td></tr>'
            for s in symbols[:shown]
        )
        rest = len(symbols) - shown
        more = f"<p>and {rest} more</p>" if rest > 0 else ""
        head = (
            '<tr><th class="text">symbol</th><th class="text">kind</th><th>bytes</th>'
            '<th class="text">version</th></tr>'
        )
        told = html.escape(repr(self))
        return _core.fragment(f"<p>{told}</p><table>{head}{rows}</table>{more}")


def load_library(
    source: str | os.PathLike[str] | Buffer,
    *,
    loader: Loader = "auto",
    dependencies: Dependencies = "system",
    name: str | None = None,
) -> Library:
    """Load a shared library into memory, from a file or from bytes.

    The file needs no permission to be executed and may lie where nothing may be executed; bytes may
    come out of an archive or a database. Opcodon's own loader maps the library: its code is never
    writable, nothing of it runs before all of its symbols are resolved, and each call makes
    another copy with its own data. Initialisers run, so load only what you would run.

    Parameters
    ----------
    source : str, path or bytes-like
        A path, a name such as ``"libm.so.6"``, which is searched for as the system does, or the
        contents of a file.
    loader : {"auto", "own", "system"}
        Who maps the library: Opcodon, the system's loader from a file in memory, or Opcodon unless
        it must refuse. It refuses the C library itself, of which a process has one;
        `Library.reason` says so.
    dependencies : {"system", "process", "own"}
        Who loads the libraries that it needs: the system's loader, nobody, since they are in the
        process, or Opcodon, as copies of their own.
    name : str, optional
        What bytes are called in messages.

    Returns
    -------
    Library
        The library, with its `symbols` and `function`.

    Raises
    ------
    LibraryError
        If there is no such file, it is no library for this processor, it is damaged, or symbols
        are missing; an `OSError` with the attributes `file` and `missing`.
    ValueError
        If an option is unknown.

    Examples
    --------
    >>> import opcodon
    >>> libz = opcodon.load_library("libz.so.1")
    >>> crc32 = libz.function("crc32", "unsigned long(unsigned long, const char *, unsigned)")
    >>> text = b"123456789"
    >>> hex(crc32(0, text, len(text)))
    '0xcbf43926'
    >>> libz.close()
    """
    path, data = _source(source, name)
    return Library(_core.LoadedLibrary.load(path, data, loader, dependencies))


def link(
    objects: Iterable[str | os.PathLike[str] | Buffer],
    *,
    libraries: Iterable[str | os.PathLike[str]] = ("libm.so.6",),
) -> Library:
    """Link relocatable object files in memory, so that what a compiler gives can be called.

    The output of ``cc -c`` has zeros where addresses of other functions and data belong. Here
    these are filled in: with what the objects define, then what the process has, then what the
    libraries have. Initialisers run.

    Parameters
    ----------
    objects : iterable of str, path or bytes-like
        Files, or their contents; of archives (``.a``) those objects are taken that the others need,
        or all if there are no others. Compile with ``-fPIC``.
    libraries : iterable of str or path
        Libraries to look names up in, loaded by the system's loader.

    Returns
    -------
    Library
        The result, as of `load_library`.

    Raises
    ------
    LibraryError
        If a file is no relocatable object for this processor or damaged, or if names are missing
        or defined twice; an `OSError` with the attributes `file` and `missing`.

    Examples
    --------
    >>> import opcodon, subprocess
    >>> source = b"double sin(double); double f(double x) { return x * sin(x); }"
    >>> _ = subprocess.run(["cc", "-O2", "-fPIC", "-c", "-xc", "-", "-o", "f.o"], input=source)
    >>> f = opcodon.link(["f.o"]).function("f", "f64(f64)")
    >>> f(1.0)
    0.8414709848078965
    """
    # A single path is an iterable of its characters, which is never meant.
    if isinstance(objects, (str, bytes, bytearray, os.PathLike)):
        objects = [objects]
    named = [_source(source, f"object {number}") for number, source in enumerate(objects)]
    return Library(_core.LoadedLibrary.link(named, [os.fspath(name) for name in libraries]))


def _source(source: str | os.PathLike[str] | Buffer, name: str | None) -> tuple[str, bytes | None]:
    """A name, and the bytes if these are given."""
    if isinstance(source, (str, os.PathLike)):
        return os.fspath(source), None
    try:
        data = bytes(memoryview(source))
    except TypeError:
        message = f"a path or bytes are needed, not {type(source).__name__}"
        raise TypeError(message) from None
    return name or "<bytes>", data
