import { workspaceContract } from '../contracts/workspace.ts';
import { makeLab } from './lab.ts';

workspaceContract('git', async (files) => {
  const lab = await makeLab({ files });
  return { workspace: lab.ws, dispose: lab.dispose };
});
