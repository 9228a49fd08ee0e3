"""One party of SecretFlow's ECDH-PSI, from an established link to the result written.

Both parties learn whom both hold. It reads its set from a file and writes the result to one: it has
no other interface.
"""

import os
import sys
import sysconfig
import types

from . import party

# `import spu` brings in its compiler and jax, which PSI does not use: take its package as it lies.
_package = types.ModuleType("spu")
_package.__path__ = [os.path.join(sysconfig.get_paths()["platlib"], "spu")]
sys.modules["spu"] = _package

from spu import libspu  # noqa: E402
from spu import psi  # noqa: E402

# It may have to wait until the other has raised a whole list.
PATIENCE_MS = 3 * 60 * 60 * 1000


def linked(arguments):
    parties = libspu.link.Desc()
    parties.recv_timeout_ms = PATIENCE_MS
    parties.http_timeout_ms = PATIENCE_MS
    ports = [arguments.own, arguments.peer]
    for rank in (0, 1):
        port = ports[0] if rank == arguments.rank else ports[1]
        parties.add_party(f"party-{rank}", f"127.0.0.1:{port}")
    return libspu.link.create_brpc(parties, arguments.rank)


def config(arguments):
    ecdh = psi.EcdhParams(curve=psi.parse_curve_type(arguments.curve))
    return psi.PsiExecuteConfig(
        protocol_conf=psi.PsiProtocolConfig(
            protocol=psi.PsiProtocol.PROTOCOL_ECDH,
            receiver_rank=0,
            broadcast_result=True,
            ecdh_params=ecdh,
        ),
        input_params=psi.InputParams(path=arguments.set, selected_keys=["key"], keys_unique=True),
        # Not sorted: less to do.
        output_params=psi.OutputParams(path=f"{arguments.report}.csv", disable_alignment=True),
    )


def main(arguments):
    link = linked(arguments)
    with party.measured(arguments) as report:
        done = psi.psi_execute(config(arguments), link)
        report["links"] = done.intersection_count
    link.stop_link()


if __name__ == "__main__":
    main(party.arguments())
