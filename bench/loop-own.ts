// One life of `bench -- loop`, in a process of its own.
import { type LifeInput, live } from "./loop-life.ts";

console.log(JSON.stringify(await live(JSON.parse(process.argv[2]) as LifeInput)));
