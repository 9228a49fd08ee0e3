"""The sets: people who exist nowhere, the same for every program that is compared.

A person is an NHS number and a date of birth. Only about 909,000 numbers beginning with 999 have a
valid check digit; sets that need more go on with 998 and 997, which are not issued either.
"""

import datetime
import random

BLOCKS = range(999, 989, -1)


def _weighed(first_weight):
    """The check sum of every group of three digits, whose first has this weight."""
    weights = (first_weight, first_weight - 1, first_weight - 2)
    return [sum(int(d) * w for d, w in zip(f"{n:03}", weights)) for n in range(1000)]


def numbers():
    """Valid NHS numbers nobody has."""
    first, second, third = _weighed(10), _weighed(7), _weighed(4)
    for block in BLOCKS:
        for middle in range(1000):
            summed = first[block] + second[middle]
            for last in range(1000):
                check = -(summed + third[last]) % 11
                if check != 10:
                    yield f"{block:03}{middle:03}{last:03}{check}"


def sets(ours, theirs, seed=1):
    """Two shuffled lists of (number, date of birth), and how many people are in both: a tenth of
    the smaller list."""
    drawn = random.Random(seed)
    start = datetime.date(1930, 1, 1)
    days = [(start + datetime.timedelta(n)).isoformat() for n in range(90 * 365)]
    both = min(ours, theirs) // 10
    everybody = [
        (number, drawn.choice(days)) for number, _ in zip(numbers(), range(ours + theirs - both))
    ]
    if len(everybody) < ours + theirs - both:
        raise SystemExit("error: there are not so many test numbers\n  try: smaller --sizes")
    first, second = everybody[:ours], everybody[ours - both :]
    drawn.shuffle(first)
    drawn.shuffle(second)
    return first, second, both


def write_keys(path, people):
    """One index key a line under a heading, as protocol.md section 3 writes it."""
    with open(path, "w") as file:
        file.write("key\n")
        file.writelines(f"nhs:{number}|{born}\n" for number, born in people)


def read_keys(path):
    with open(path) as file:
        return file.read().splitlines()[1:]


def write_patients(path, people):
    """FHIR Patients, one a line."""
    system = "https://fhir.nhs.uk/Id/nhs-number"
    with open(path, "w") as file:
        file.writelines(
            f'{{"resourceType":"Patient","id":"p{at}","identifier":[{{"system":"{system}",'
            f'"value":"{number}"}}],"birthDate":"{born}"}}\n'
            for at, (number, born) in enumerate(people)
        )
