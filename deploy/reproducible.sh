# For the scripts that write the files of a release, which source it in the root of the repository.

version=$(sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml | head -n 1)
# Default: the time of the commit. See https://reproducible-builds.org/docs/source-date-epoch/
: "${SOURCE_DATE_EPOCH:=$(git log -1 --format=%ct)}"
export SOURCE_DATE_EPOCH

# pack PARENT FOLDER FILE: writes a folder as an archive. Files are sorted and have the same time, owner and mode.
pack() {
  # In two steps: in a pipe, an error of tar would be lost.
  tar --create --directory="$1" --sort=name --mtime="@$SOURCE_DATE_EPOCH" --owner=0 --group=0 --numeric-owner \
    --mode=u=rwX,go=rX --format=gnu --file="$3.tar" "$2"
  gzip --no-name --best <"$3.tar" >"$3"
  rm "$3.tar"
}
