"""The command line: `python -m benchmarks --help`."""

try:
    from benchmarks.commands.commands import app
except ModuleNotFoundError as exc:
    if exc.name not in ("hdrh", "hdrh.histogram"):
        raise
    raise SystemExit(
        f"benchmarks: {exc.name} is missing: make install, or with the wheel: pip install 'throughline[benchmarks]'"
    ) from exc

if __name__ == "__main__":
    app()
