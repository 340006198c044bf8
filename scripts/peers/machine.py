"""The machine and the versions a comparison was made on: no host name, no user, no path."""

import json
import os
import platform
import re
import subprocess


def cpuinfo():
    """Fields of the first processor, as Linux gives them; empty elsewhere."""
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as file:
            first = file.read().split("\n\n")[0]
    except OSError:
        return {}
    pairs = (line.split(":", 1) for line in first.splitlines() if ":" in line)
    return {key.strip(): value.strip() for key, value in pairs}


def instruction_set(fields):
    """The variant of seqbench's kernels that these flags allow, as crates/kernels/src/isa.rs chooses."""
    flags = set(fields.get("flags", "").split())
    if not {"avx2", "fma"} <= flags:
        return "portable"
    return "avx512" if {"avx512f", "avx512bw", "avx512dq", "avx512vl"} <= flags else "avx2"


def microarchitecture(fields):
    """A short name; where the model is not known, its numbers rather than a guess."""
    try:
        family, model = int(fields["cpu family"]), int(fields["model"])
    except (KeyError, ValueError):
        return re.sub(r"\W+", "", platform.machine().lower()) or "cpu"
    if fields.get("vendor_id") == "AuthenticAMD":
        if family == 26:
            return "zen5"
        if family == 25:
            zen4 = 0x10 <= model <= 0x1F or 0x60 <= model <= 0x7F or 0xA0 <= model <= 0xAF
            return "zen4" if zen4 else "zen3"
        if family == 23:
            return "zen2" if model >= 0x30 else "zen"
    names = {
        0x3C: "haswell", 0x3F: "haswell", 0x3D: "broadwell", 0x4F: "broadwell", 0x56: "broadwell",
        0x4E: "skylake", 0x5E: "skylake", 0x55: "skylakex", 0x8E: "kabylake", 0x9E: "kabylake",
        0x6A: "icelakex", 0x6C: "icelakex", 0x7E: "icelake", 0x8C: "tigerlake", 0x8D: "tigerlake",
        0x97: "alderlake", 0x9A: "alderlake", 0xB7: "raptorlake", 0xBA: "raptorlake", 0xBF: "raptorlake",
        0x8F: "sapphirerapids", 0xCF: "emeraldrapids", 0xAD: "graniterapids", 0xAE: "graniterapids",
    }  # fmt: skip
    if fields.get("vendor_id") == "GenuineIntel" and family == 6 and model in names:
        return names[model]
    return f"x86f{family}m{model}"


def usable():
    """Processors of this process, one of each core before the second of any."""
    if not hasattr(os, "sched_getaffinity"):
        return list(range(os.cpu_count() or 1))
    seen, first, second = set(), [], []
    for cpu in sorted(os.sched_getaffinity(0)):
        try:
            with open(f"/sys/devices/system/cpu/cpu{cpu}/topology/thread_siblings_list", encoding="ascii") as file:
                core = file.read().strip()
        except OSError:
            core = str(cpu)
        (second if core in seen else first).append(cpu)
        seen.add(core)
    return first + second


def cores():
    """Usable cores, not counting a second thread of any."""
    if not hasattr(os, "sched_getaffinity"):
        return os.cpu_count() or 1
    siblings = set()
    for cpu in os.sched_getaffinity(0):
        try:
            with open(f"/sys/devices/system/cpu/cpu{cpu}/topology/thread_siblings_list", encoding="ascii") as file:
                siblings.add(file.read().strip())
        except OSError:
            siblings.add(str(cpu))
    return len(siblings)


def slug():
    fields = cpuinfo()
    return f"{microarchitecture(fields)}-{cores()}c-{instruction_set(fields)}"


def available_mb():
    """Memory that can be had without swapping; infinite where the system does not say."""
    try:
        with open("/proc/meminfo", encoding="ascii") as file:
            for line in file:
                if line.startswith("MemAvailable:"):
                    return int(line.split()[1]) / 1024
    except OSError:
        pass
    return float("inf")


def output_of(*command, cwd=None):
    try:
        return subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return ""


def revision(root):
    """Twelve digits of the commit, with `-dirty` where sources differ from it."""
    commit = output_of("git", "rev-parse", "--short=12", "HEAD", cwd=root)
    changed = output_of("git", "status", "--porcelain", "--", "crates", "Cargo.lock", "scripts/peers", cwd=root)
    return (commit or "unknown") + ("-dirty" if changed else "")


def versions():
    from importlib import metadata

    names = ("torch", "jax", "jaxlib", "optax", "numpy")
    return {"python": platform.python_version(), **{name: metadata.version(name) for name in names}}


def provenance(root, seqbench, threads, peak):
    fields = cpuinfo()
    return {
        "seqbench": seqbench,
        "rustc": output_of("rustc", "--version", cwd=root).removeprefix("rustc "),
        **versions(),
        "system": f"{platform.system().lower()} {platform.machine()}",
        "libc": " ".join(platform.libc_ver()).strip(),
        "processor": fields.get("model name", platform.processor()),
        "microarchitecture": microarchitecture(fields),
        "instruction_set": instruction_set(fields),
        "cores": cores(),
        "memory_gb": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30),
        "threads": threads,
        "peak_gflops": {str(count): value for count, value in peak.items() if value},
    }


def write_provenance(path, facts):
    with open(path, "w", encoding="utf-8") as file:
        json.dump(facts, file, indent=2, sort_keys=True)
        file.write("\n")


def read_provenance(path):
    try:
        with open(path, encoding="utf-8") as file:
            return json.load(file)
    except OSError:
        return {}


if __name__ == "__main__":
    print(slug())
