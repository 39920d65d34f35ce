// aws-sdk-js v3 with its default checksums: `BUCKET COMMAND ARGUMENTS...`.
"use strict";

const fs = require("node:fs");
const {
  S3Client,
  CopyObjectCommand,
  DeleteObjectCommand,
  GetObjectCommand,
  PutObjectCommand,
  paginateListObjectsV2,
} = require("@aws-sdk/client-s3");
const { Upload } = require("@aws-sdk/lib-storage");
const { getSignedUrl } = require("@aws-sdk/s3-request-presigner");

const PART_BYTES = 5 * 1024 * 1024;
const [bucket, command, ...words] = process.argv.slice(2);
// Endpoint, region and key come from the environment.
const s3 = new S3Client({ forcePathStyle: true });

const read = async (more) => {
  const answer = await s3.send(new GetObjectCommand({ Bucket: bucket, ...more }));
  return answer.Body.transformToByteArray();
};

const commands = {
  put: async (key, file) => {
    const body = fs.readFileSync(file);
    await s3.send(new PutObjectCommand({ Bucket: bucket, Key: key, Body: body }));
  },
  put_in_parts: async (key, file) => {
    const params = { Bucket: bucket, Key: key, Body: fs.createReadStream(file) };
    await new Upload({ client: s3, params, partSize: PART_BYTES }).done();
  },
  get: (key) => read({ Key: key }),
  get_range: (key, start, stop) => read({ Key: key, Range: `bytes=${start}-${stop - 1}` }),
  keys: async (prefix) => {
    const found = [];
    const pages = paginateListObjectsV2({ client: s3, pageSize: 2 }, { Bucket: bucket, Prefix: prefix });
    for await (const page of pages) found.push(...(page.Contents ?? []).map((item) => item.Key));
    return JSON.stringify(found);
  },
  copy: async (source, target) => {
    const from = `${bucket}/${source.split("/").map(encodeURIComponent).join("/")}`;
    await s3.send(new CopyObjectCommand({ Bucket: bucket, Key: target, CopySource: from }));
  },
  // A URL to PUT to: metadata and class are signed into its query.
  presign_put: (key, colour, storageClass) => {
    const params = { Bucket: bucket, Key: key, Metadata: { colour }, StorageClass: storageClass };
    return getSignedUrl(s3, new PutObjectCommand(params), { expiresIn: 600 });
  },
  delete: async (key) => {
    await s3.send(new DeleteObjectCommand({ Bucket: bucket, Key: key }));
  },
};

commands[command](...words).then(
  (answer) => process.stdout.write(answer ?? ""),
  (failure) => {
    console.error(failure);
    process.exitCode = 1;
  },
);
