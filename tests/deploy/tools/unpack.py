"""Extracts kubectl from the packages in kubectl.txt, where it is in a zip file in a tar file."""

import io
import pathlib
import sys
import sysconfig
import tarfile
import zipfile

packages = pathlib.Path(sysconfig.get_path("purelib"), "aws_cdk")
programs = pathlib.Path(sys.prefix, "bin")
for version in ("28", "37"):
    (outer,) = (packages / f"lambda_layer_kubectl_v{version}/_jsii").glob("*.tgz")
    with tarfile.open(outer) as archive:
        layer = zipfile.ZipFile(io.BytesIO(archive.extractfile("package/lib/layer.zip").read()))
    program = programs / f"kubectl-1.{version}"
    program.write_bytes(layer.read("kubectl/kubectl"))
    program.chmod(0o755)
