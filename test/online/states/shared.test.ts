// The contract of online feature states, on the two that there are: a process's own, and one shared in Redis.
import { afterAll, beforeAll, describe } from "vitest";
import { createRedisState } from "../../../src/drivers/state/redis/driver.ts";
import { WarmStates } from "../../../src/online/states/own.ts";
import { SharedStates } from "../../../src/online/states/shared.ts";
import { onlineStateContract } from "../../contracts/online-state.ts";
import { PATIENT_MS, type RedisProcess, redisInstalled, startRedis } from "../../drivers/redis-server.ts";

onlineStateContract("memory", {
  fresh: async () => {},
  async open(world) {
    const { ports, close } = world.open();
    return { states: new WarmStates(ports, { pipeline: "card" }), ports, close };
  },
});

describe.runIf(redisInstalled)("on a server", () => {
  let redis: RedisProcess;
  beforeAll(async () => {
    redis = await startRedis();
  });
  afterAll(() => redis?.dispose());

  onlineStateContract("Redis", {
    fresh: async () => redis.flush(),
    async open(world) {
      const { ports, close } = world.open(() =>
        createRedisState({ address: redis.address, name: "card", commandMsMax: PATIENT_MS }),
      );
      const states = await SharedStates.open(ports, await ports.shared!(), { pipeline: "card" });
      return {
        states,
        ports,
        async close() {
          await states.close();
          await close();
        },
      };
    },
  });
});
