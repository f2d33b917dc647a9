import { type Api, ApiError, path } from './api';

const kPatience = 2500; // milliseconds that a member has to answer what nobody waits for
const kWay = 500; // more for the node of this page, to say that there is no answer
export const kPatienceHere = kPatience + kWay;

/** What `cluster-cli` asks a node. */
export interface Command {
  name: string;
  args?: string[];
  trace?: boolean;
}

/** Asks a node, this one ('') or another, as `cluster-cli` does. Throws an ApiError if it says no. */
export async function run<T>(api: Api, node: string, command: Command, timeout?: number): Promise<T> {
  const server = node ? `command@${node}` : 'command';
  const reply = await api.post<{ ok: boolean; data: T; error?: { message: string; code: string } }>(
    path('v1', 'call', server, 'run') + (timeout === undefined ? '' : `?timeout_ms=${timeout}`),
    JSON.stringify({ ...command, timeout_ms: timeout }), // for who answers with what there is until then
    timeout === undefined ? undefined : AbortSignal.timeout(timeout + kWay),
  );
  if (!reply.ok) throw new ApiError(200, reply.error?.code ?? 'unknown', reply.error?.message ?? 'No reason given.');
  return reply.data;
}

/** As `run`, for what is asked again and again without anybody's doing. */
export function poll<T>(api: Api, node: string, command: Command, patience = kPatience): Promise<T> {
  return api.background.run(`${node} ${JSON.stringify(command)}`, () => run<T>(api, node, command, patience));
}
