"""On paper: what a region and all England would take, from the costs of a match just measured.

Every organisation is matched with every other of its region, in one epoch; then every day with what
is new. Nothing here was run: it is one multiplication per pair of organisations.
"""

import collections
import csv

EPOCH_DAYS = 90
REGIONS = 42
PEOPLE = 60_000_000
PRACTICES = 6_300
TRUSTS = 200
COUNCILS = 150
# Nobody publishes how many people a trust or a council's social care knows: assumed.
TRUST_PEOPLE = 1_000_000
COUNCIL_PEOPLE = 40_000
# New people a day, of those on a list: a tenth of the population changes practice in a year, and as
# many again come to a trust for the first time, are born or are referred.
NEW_A_DAY = 0.002
# protocol/src/limits.rs
BATCHES = (64, 256, 1024, 4096)
# Signatures and frames of one batch in both directions, beside entries, tags and proofs.
BATCH_BYTES = 2_048
CANARIES, FLOOR = 1_146, 2_048


def advert(people):
    """Entries of an advert, canaries included (protocol.md section 3)."""
    step = max(1_024, (1 << (people.bit_length() - 1)) // 32)
    return -(-max(FLOOR, people + CANARIES) // step) * step


def daily(people):
    """Entries a day, in batches of fixed sizes of which an eighth are canaries, and how many
    batches."""
    new, entries, batches = people * NEW_A_DAY, 0, 0
    while new > 0:
        size = next((size for size in BATCHES if new <= size * 7 / 8), BATCHES[-1])
        entries, batches, new = entries + size, batches + 1, new - size * 7 / 8
    return entries, batches


class Costs:
    """Per entry, from a match: CPU seconds, bytes on the wire, bytes on disk."""

    def __init__(self, fresh, prepared, people):
        entries = sum(advert(count) for count in people)
        # Making one's own advert is what the two runs differ in.
        self.own_cpu = max(0.0, fresh["cpu"] - prepared["cpu"]) / entries
        self.own_disk = max(0, sum(fresh["disk"]) - sum(prepared["disk"])) / entries
        # What one side spends on each entry of the two adverts of a pair.
        self.pair_cpu = prepared["cpu"] / 2 / entries
        self.pair_disk = sum(prepared["disk"]) / 2 / entries
        self.pair_bytes = prepared["bytes"] / entries


Use = collections.namedtuple("Use", "cpu bytes disk day_cpu day_bytes day_disk")


def use(costs, people, many, entries, new, batches):
    """What one node with this many people uses in a mesh of `many`, whose adverts have this many
    entries together, and this many new ones a day."""
    own, (fresh, own_batches) = advert(people), daily(people)
    others = many - 1
    pairs = others * own + entries - own
    new_pairs = others * fresh + new - fresh
    said = others * own_batches + batches - own_batches
    return Use(
        cpu=costs.own_cpu * own + costs.pair_cpu * pairs,
        bytes=costs.pair_bytes * pairs,
        disk=costs.own_disk * own + costs.pair_disk * pairs,
        day_cpu=costs.own_cpu * fresh + costs.pair_cpu * new_pairs,
        day_bytes=costs.pair_bytes * new_pairs + BATCH_BYTES * said,
        day_disk=costs.own_disk * fresh + costs.pair_disk * new_pairs,
    )


def mesh(costs, lists):
    """What each of these lists' nodes uses, and all together."""
    days = [daily(people) for people in lists]
    entries = sum(advert(people) for people in lists)
    new, batches = (sum(column) for column in zip(*days))
    each = [use(costs, people, len(lists), entries, new, batches) for people in lists]
    return each, Use(*(sum(column) for column in zip(*each)))


def assumed():
    """Regions of one size: {region: [(kind, people)]}."""
    regions = collections.defaultdict(list)
    practice = ("practice", PEOPLE // PRACTICES)
    kinds = [practice] * PRACTICES
    kinds += [("trust", TRUST_PEOPLE)] * TRUSTS + [("council", COUNCIL_PEOPLE)] * COUNCILS
    for at, member in enumerate(kinds):
        regions[at % REGIONS].append(member)
    return regions


def read(path):
    """Practices and trusts as the file has them. Councils, and trusts whose region has no practices
    there, are spread over the regions by the people they serve."""
    regions, strays = collections.defaultdict(list), []
    with open(path, newline="") as file:
        rows = list(csv.DictReader(file))
    for row in rows:
        people = int(row["people"] or 0)
        if row["kind"] == "gp" and people:
            regions[row["icb_ods_code"]].append(("practice", people))
    served = {code: sum(people for _, people in members) for code, members in regions.items()}
    for row in rows:
        if row["kind"] == "trust":
            member = ("trust", int(row["people"] or TRUST_PEOPLE))
            regions.get(row["icb_ods_code"], strays).append(member)
    for member in strays + [("council", COUNCIL_PEOPLE)] * COUNCILS:
        kind = member[0]

        def dense(code):
            return served[code] / (1 + sum(its == kind for its, _ in regions[code]))

        regions[max(served, key=dense)].append(member)
    return regions


def largest(regions):
    return max(regions.values(), key=lambda members: sum(people for _, people in members))


def amount(value):
    for unit in ("B", "kB", "MB", "GB", "TB", "PB"):
        if value < 999.5 or unit == "PB":
            return f"{value:.3g} {unit}"
        value /= 1000


def time(seconds):
    if seconds < 99.5:
        return f"{seconds:.2g} s"
    if seconds < 5_940:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:,.0f} h" if seconds > 36_000 else f"{seconds / 3600:.1f} h"


def row(what, used):
    cells = (time(used.cpu), amount(used.bytes), amount(used.disk))
    cells += (time(used.day_cpu), amount(used.day_bytes), amount(used.day_disk))
    print(f"{what:44}" + "".join(f"{cell:>11}" for cell in cells))


def show(measured, organisations=None):
    """Prints the table."""
    results = list(measured["results"].values())
    costs = Costs(results[0], results[1], measured["sizes"])
    regions = read(organisations) if organisations else assumed()
    members = [member for region in regions.values() for member in region]
    size = " x ".join(f"{count:,}" for count in measured["sizes"])
    print(f"\nOn paper, from the match of {size}. On one side, one core takes for an own entry")
    print(
        f"{costs.own_cpu * 1e6:.1f} µs and for an entry of a pair {costs.pair_cpu * 1e6:.1f} µs;"
        f" that one is {costs.pair_bytes:.0f} bytes between the two and {costs.pair_disk:.0f} on"
        " each disk. Bytes are counted at both ends."
    )
    print(f"{'':44}{'one epoch':>33}{'one day':>33}")
    head = ("core time", "bytes", "disk") * 2
    print(f"{'':44}" + "".join(f"{cell:>11}" for cell in head))
    region = largest(regions)
    each, total = mesh(costs, [people for _, people in region])
    print(f"the largest of {len(regions)} regions, {len(region):,} organisations")
    for kind in ("practice", "council", "trust"):
        of_kind = [one for one, (its, _) in zip(each, region) if its == kind]
        if of_kind:
            middle = sorted(of_kind)[len(of_kind) // 2]
            row(f"  a {kind}, the middle one of {len(of_kind)}", middle)
    row("  all its nodes", total)
    every = [mesh(costs, [people for _, people in region])[1] for region in regions.values()]
    every = Use(*(sum(column) for column in zip(*every)))
    listed = sum(people for _, people in members) / 1e6
    print(
        f"all England, {len(members):,} organisations, {listed:.0f} million people on their lists"
    )
    row("  every region for itself, all nodes", every)
    each, total = mesh(costs, [people for _, people in members])
    row("  everybody with everybody: a trust", max(each))
    row("  everybody with everybody, all nodes", total)
